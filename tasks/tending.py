"""Crashed runs are started again: the same run, which reuses what was finished and goes on from its saved state.

Prefect's `retries` do not cover a killed process, and an automation that reacts to the crash can come a quarter of an hour
late after its server was restarted (events wait for those they follow). So runs are looked after by asking for their states:
`transferline serve` does so all the time; elsewhere the deployment `tend` does, on every crash that is heard of and every
five minutes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Failed, Scheduled

from tasks.placing import most_starts

RESTART = "transferline-restart"  # tag of the deployments whose runs are started again
FORGOTTEN = timedelta(days=2)  # a run that crashed longer ago is history


def restart_crashed(client: SyncPrefectClient) -> list[str]:
    """Schedule every crashed run of ours again; returns their names. One that died too often is marked as failed."""
    crashed = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[RESTART]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.now(UTC) - FORGOTTEN),
    )
    names = []
    for run in client.read_flow_runs(flow_run_filter=crashed):
        deaths = [state.message or "no message" for state in client.read_flow_run_states(run.id) if state.is_crashed()]
        if len(deaths) >= most_starts():  # it may die before it gets as far as its own door
            client.set_flow_run_state(run.id, Failed(message=given_up(deaths)), force=True)
            continue
        message = "Started again after a crash; what was finished is reused"
        client.set_flow_run_state(run.id, Scheduled(name="AwaitingRetry", message=message))
        names.append(run.name)
    return names


def given_up(deaths: list[str]) -> str:
    """Why a run is not started again: how often it died, and of what."""
    return (
        f"died {len(deaths)} times and is not started again; the last time: {deaths[-1] if deaths else 'cause unknown'}"
    )
