"""Crashed runs are started again: the same run, which reuses what was finished and goes on from its saved state.

Prefect's `retries` do not cover a killed process, and an automation that reacts to the crash can come a quarter of an hour
late after its server was restarted (events wait for those they follow). So runs are looked after by asking for their states:
`transferline serve` does so all the time; elsewhere the deployment `tend` does, on every crash that is heard of and every
five minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Crashed, Failed, Scheduled

from transferline.tasks.placing import most_starts

RESTART = "transferline-restart"  # tag of the deployments whose runs are started again
SILENT = timedelta(seconds=120)  # four missed heartbeats: a server that restarts misses some as well
LOOK_EVERY = 5.0  # seconds between two looks of a service
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


def mark_silent(client: SyncPrefectClient) -> list[str]:
    """Mark as crashed the running runs of ours that nothing was heard of for SILENT; returns their names.

    Only for who knows that the server has been listening all that time: a server that was away has missed heartbeats.
    """
    running = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[RESTART]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
    )
    names = []
    since = datetime.now(UTC) - SILENT
    for run in client.read_flow_runs(flow_run_filter=running):
        if run.state is None or run.state.timestamp > since or _heard_of(client, run.id, since):
            continue
        message = f"No heartbeat for {SILENT.seconds} s: its process or its machine is gone"
        client.set_flow_run_state(run.id, Crashed(message=message))
        names.append(run.name)
    return names


def mark_ended(client: SyncPrefectClient, runs: set[str]) -> None:
    """Mark runs as crashed whose processes were ended together with their worker."""
    for run in runs:
        client.set_flow_run_state(UUID(run), Crashed(message="The service was ended; it goes on with the next start"))


def _heard_of(client: SyncPrefectClient, run: UUID, since: datetime) -> bool:
    wanted = {"resource": {"id": [f"prefect.flow-run.{run}"]}, "occurred": {"since": since.isoformat()}}
    answer = client._client.post("/events/filter", json={"filter": wanted, "limit": 1})
    return bool(answer.raise_for_status().json()["events"])


def given_up(deaths: list[str]) -> str:
    """Why a run is not started again: how often it died, and of what."""
    return (
        f"died {len(deaths)} times and is not started again; the last time: {deaths[-1] if deaths else 'cause unknown'}"
    )


class Tender:
    """Looks after runs: marks silent ones, starts crashed ones again, and at the end says which were cut off."""

    def __init__(self, prefect: str, say: Callable[[str], None]) -> None:
        self.prefect, self.say, self.looked, self.listening = prefect, say, 0.0, time.monotonic()

    def look(self) -> None:
        """Look every few seconds; a server that is just restarting is asked the next time."""
        if time.monotonic() - self.looked < LOOK_EVERY:
            return
        self.looked = time.monotonic()
        try:
            with self._client() as client:
                if self.looked - self.listening > SILENT.total_seconds():
                    for name in mark_silent(client):
                        self.say(f"{name} is silent: its process is gone")
                for name in restart_crashed(client):
                    self.say(f"{name} had crashed and is started again")
        except httpx.HTTPError:
            self.listening = time.monotonic()  # what it has missed cannot be told from silence

    def cut_off(self, runs: set[str]) -> None:
        """Say of runs that they ended with us."""
        with suppress(httpx.HTTPError), self._client() as client:
            mark_ended(client, runs)

    @contextmanager
    def _client(self) -> Iterator[SyncPrefectClient]:
        settings = {PREFECT_API_URL: self.prefect, PREFECT_CLIENT_MAX_RETRIES: 0}
        with temporary_settings(settings), get_client(sync_client=True) as client:
            yield client


def under_way() -> set[str]:
    """Ids of the flow runs whose processes are ours."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found.add(child.environ().get("PREFECT__FLOW_RUN_ID", ""))
    return found - {""}
