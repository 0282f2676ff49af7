"""Run a stage on a GPU worker: start a flow run of its deployment and wait for its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Cancelled

from transferline.core.errors import InputError
from transferline.core.settings import settings, variable

POLL = 1.0  # seconds between two looks at the run's state


def run_on_worker(deployment: str, parameters: Mapping[str, Any], name: str) -> State[Any]:
    """Run a deployment to its end and return its final state.

    Only the wait for a worker has a limit: how long a stage trains is the user's business. Raises InputError if no worker has
    taken the run within TRANSFERLINE_WAIT_HOURS. The run is then cancelled, so that it cannot start days later.
    """
    run: Any = run_deployment(deployment, parameters=dict(parameters), flow_run_name=name, timeout=0)
    hours = settings().wait_hours
    deadline = time.monotonic() + 3600 * hours
    with get_client(sync_client=True) as client:
        while True:
            state = client.read_flow_run(run.id).state
            if state is not None and state.is_final():
                return state
            if state is None or state.is_scheduled() or state.is_pending():
                if time.monotonic() > deadline:
                    client.set_flow_run_state(run.id, Cancelled(message="No worker took it in time"), force=True)
                    mend = f"Start a worker of its pool, or raise {variable('wait_hours')}"
                    raise InputError(f"{name} on {deployment}", f"no worker took it within {hours:g} hours", mend)
            else:
                deadline = time.monotonic() + 3600 * hours  # it runs; after a crash it waits anew
            time.sleep(POLL)
