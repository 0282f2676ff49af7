"""The door of every flow: what earlier runs left is ended, and a run that keeps dying is given up with its cause."""

from __future__ import annotations

from prefect.runtime import flow_run

from tasks.orphans import end_orphans
from tasks.placing import most_starts


class KeepsDying(RuntimeError):
    """A flow run whose process died as often as it was started."""


def begin() -> None:
    """End orphans; raise KeepsDying where this run has been started too often.

    A crashed run is started again by an automation (tasks/automating.py), with nothing computed twice; without an end to it,
    poisoned data or too little memory would keep a worker busy for ever.
    """
    end_orphans()
    starts = int(flow_run.run_count or 1)
    if starts > most_starts():
        raise KeepsDying(f"died {starts - 1} times and is not started again; the last time: {_last_death()}")


def _last_death() -> str:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(flow_run.id)
    crashed = [state for state in states if state.is_crashed()]
    return (crashed[-1].message or "no message") if crashed else "cause unknown"
