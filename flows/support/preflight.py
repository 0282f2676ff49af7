"""Start of every flow: end what killed runs left behind, and stop a run that has crashed too often."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from transferline.tasks.placing import most_starts
from transferline.tasks.support.abandoned_flow_runs import close_abandoned
from transferline.tasks.support.orphans import end_orphans
from transferline.tasks.support.restarts import given_up


class KeepsDying(RuntimeError):
    """The process of a flow run died at every start."""


def begin() -> None:
    """End orphan processes and close abandoned flow runs. Raises KeepsDying if this run has been started too often.

    Crashed runs are restarted (tasks/support/restarts.py). Without a limit, bad data or too little memory would keep a
    worker busy for ever.
    """
    end_orphans()
    if flow_run.id:
        close_abandoned(flow_run.id)
    # run_count has no value outside a flow run
    if int(flow_run.run_count or 1) > most_starts():
        with get_client(sync_client=True) as client:
            states = client.read_flow_run_states(flow_run.id)
        raise KeepsDying(given_up([state.message or "no message" for state in states if state.is_crashed()]))
