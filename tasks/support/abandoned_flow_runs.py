"""Flow runs that a killed process left RUNNING in Prefect.

Runs of a deployment are watched by Prefect: a worker reports a dead process, and an automation reports a missing heartbeat
(automations.py). A run that was started by a command has no watcher. The next command marks it as crashed.
"""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from transferline.tasks.support.run_owners import BEAT, is_dead, owner_tags

MESSAGE = "The process was killed. Run the command again: finished stages are reused"
MOST = 200  # runs in one request: Prefect's limit


def close_abandoned(own: UUID | str) -> int:
    """Label the flow run `own` with this process. Mark this machine's runs of dead processes as crashed. Returns their number."""
    # without a heartbeat, so that runs of other machines are never closed here
    labels: dict[str, bool | int | float | str] = {name: value for name, value in owner_tags().items() if name != BEAT}
    running = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(is_null_=True),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
    )
    closed = 0
    with get_client(sync_client=True) as client:
        client.update_flow_run_labels(UUID(str(own)), labels)
        for run in client.read_flow_runs(flow_run_filter=running, limit=MOST):
            if is_dead({name: str(value) for name, value in run.labels.items()}):
                _crash(client, run.id)
                closed += 1
    return closed


def _crash(client: SyncPrefectClient, run: UUID) -> None:
    running = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING])))
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    for task in client.read_task_runs(flow_run_filter=of_run, task_run_filter=running, limit=MOST):
        client.set_task_run_state(task.id, Crashed(message=MESSAGE), force=True)
    client.set_flow_run_state(run, Crashed(message=MESSAGE), force=True)
