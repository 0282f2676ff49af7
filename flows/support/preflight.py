"""The door of every flow: what earlier runs left is ended, and a run that keeps dying is given up with its cause."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from transferline.tasks.placing import most_starts
from transferline.tasks.support.orphans import end_orphans
from transferline.tasks.support.restarts import given_up


class KeepsDying(RuntimeError):
    """A flow run whose process died as often as it was started."""


def begin() -> None:
    """End orphans; raise KeepsDying where this run has been started too often.

    A crashed run is started again (tasks/support/restarts.py), with nothing computed twice; without an end to it,
    poisoned data or too little memory would keep a worker busy for ever.
    """
    end_orphans()
    if int(flow_run.run_count or 1) > most_starts():
        with get_client(sync_client=True) as client:
            states = client.read_flow_run_states(flow_run.id)
        raise KeepsDying(given_up([state.message or "no message" for state in states if state.is_crashed()]))
