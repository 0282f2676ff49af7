"""Restart crashed flow runs. The same run starts again, reuses finished stages and resumes from its saved state.

Prefect's `retries` do not cover a killed process. An automation that reacts to the crash can be 15 minutes late after a
restart of the server, because events wait for the events that they follow. Runs are therefore polled for their state.
`transferline serve` polls every few seconds. Elsewhere the deployment `tend` does, after each crash event and every five
minutes.
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
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Crashed, Failed, Scheduled, State

from transferline.tasks.placing import most_starts
from transferline.tasks.support.scope import project_tag

RESTART = "transferline-restart"  # tag of the deployments whose runs are restarted after a crash
SILENT = timedelta(seconds=120)  # four missed heartbeats; fewer could be due to a restart of the server
LOOK_EVERY = 5.0  # seconds between two polls
FORGOTTEN = timedelta(days=2)  # runs that were due longer ago are not restarted


def restart_crashed(client: SyncPrefectClient, tag: str) -> list[str]:
    """Schedule every crashed run with the project's tag again. Returns the names. One that crashed too often has failed."""
    crashed = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[RESTART, tag]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.now(UTC) - FORGOTTEN),
    )
    names = []
    for run in client.read_flow_runs(flow_run_filter=crashed):
        deaths = [state.message or "no message" for state in client.read_flow_run_states(run.id) if state.is_crashed()]
        # `preflight.begin` counts starts too, but a process that dies before its flow is RUNNING never gets there
        if len(deaths) >= most_starts():
            _set_state(client, run.id, Failed(message=given_up(deaths)), force=True)
            continue
        message = "Started again after a crash; finished stages are reused"
        if _set_state(client, run.id, Scheduled(name="AwaitingRetry", message=message)):
            names.append(run.name)
    return names


def mark_silent(client: SyncPrefectClient, tag: str) -> list[str]:
    """Mark running flow runs with the project's tag and without an event for SILENT as crashed. Returns their names.

    Call this only if the server was up all that time: a server that was down has missed heartbeats.
    """
    running = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[RESTART, tag]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
    )
    names = []
    since = datetime.now(UTC) - SILENT
    for run in client.read_flow_runs(flow_run_filter=running):
        if run.state is None or run.state.timestamp > since or _heard_of(client, run.id, since):
            continue
        message = f"No heartbeat for {SILENT.seconds} s: the process or its machine is gone"
        if _set_state(client, run.id, Crashed(message=message)):
            names.append(run.name)
    return names


def mark_ended(client: SyncPrefectClient, runs: set[str]) -> None:
    """Mark the runs that ended together with their worker as crashed, so that the next start continues them."""
    for run in runs:
        _set_state(
            client, UUID(run), Crashed(message="The service was stopped; the run continues after the next start")
        )


def _set_state(client: SyncPrefectClient, run: UUID, state: State, force: bool = False) -> bool:
    """Set the state of a run. Returns whether the run still exists: a person may have deleted it since it was listed."""
    try:
        client.set_flow_run_state(run, state, force=force)
    except ObjectNotFound:
        return False
    return True


def _heard_of(client: SyncPrefectClient, run: UUID, since: datetime) -> bool:
    wanted = {"resource": {"id": [f"prefect.flow-run.{run}"]}, "occurred": {"since": since.isoformat()}}
    answer = client._client.post("/events/filter", json={"filter": wanted, "limit": 1})
    return bool(answer.raise_for_status().json()["events"])


def given_up(deaths: list[str]) -> str:
    """The message of a run that is not started again: the number of crashes and the last cause."""
    return (
        f"died {len(deaths)} times and is not started again; the last time: {deaths[-1] if deaths else 'cause unknown'}"
    )


class Tender:
    """Poll flow runs: mark silent ones as crashed, restart crashed ones, and mark those that end with the service."""

    def __init__(self, prefect: str, say: Callable[[str], None]) -> None:
        self.prefect, self.say, self.looked, self.listening = prefect, say, 0.0, time.monotonic()
        # asked once: params.yaml may be wrong for a moment while somebody edits it, and must not end the service
        self.tag = project_tag()

    def look(self) -> None:
        """Poll if `LOOK_EVERY` seconds have passed. If the server is down, the next call tries again."""
        if time.monotonic() - self.looked < LOOK_EVERY:
            return
        self.looked = time.monotonic()
        try:
            with self._client() as client:
                if self.looked - self.listening > SILENT.total_seconds():
                    for name in mark_silent(client, self.tag):
                        self.say(f"{name} has sent no heartbeat: its process is gone")
                for name in restart_crashed(client, self.tag):
                    self.say(f"{name} crashed and is started again")
        except httpx.HTTPError:
            # the server was down and may have missed heartbeats: wait another SILENT before a run counts as silent
            self.listening = time.monotonic()

    def cut_off(self, runs: set[str]) -> None:
        """Mark runs as crashed that end with this service. Does nothing if the server is down."""
        with suppress(httpx.HTTPError), self._client() as client:
            mark_ended(client, runs)

    @contextmanager
    def _client(self) -> Iterator[SyncPrefectClient]:
        settings = {PREFECT_API_URL: self.prefect, PREFECT_CLIENT_MAX_RETRIES: 0}
        with temporary_settings(settings), get_client(sync_client=True) as client:
            yield client


def under_way() -> set[str]:
    """Ids of the flow runs in child processes of this process."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found.add(child.environ().get("PREFECT__FLOW_RUN_ID", ""))
    return found - {""}
