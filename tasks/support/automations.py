"""Prefect automations: reactions of the server to events.

* A flow run without heartbeat (SIGKILL, lost machine) is marked CRASHED. Prefect's `retries` do not cover this case.
* A crashed run starts the deployment `tend`, which schedules the same run again (restarts.py). This automation is left out
  where `transferline serve` restarts runs itself.
* New data starts the retrain of its target. So does drift, if the target declares it.
* Verdicts, failures, drift and rollbacks are sent to the notification blocks that params.yaml names.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from transferline.core.errors import InputError
from transferline.tasks.support.deployments import tended
from transferline.tasks.support.restarts import RESTART, SILENT
from transferline.tasks.support.scope import project, scoped

_RUN = "prefect.flow-run."
# any of these events answers the wait for the next heartbeat
_SIGNS_OF_LIFE = {f"{_RUN}{what}" for what in ("heartbeat", "Completed", "Failed", "Cancelled", "Crashed", "Suspended")}
_RESTART = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{RESTART}"}


def automate(blocks: Sequence[str]) -> list[str]:
    """Create, update or delete transferline's automations. Returns their names. Raises InputError on an unknown block."""
    with get_client(sync_client=True) as client:
        retrain = client.read_deployment_by_name(f"retrain/{scoped('on-demand')}").id
        wanted = [_silent(), _wanted(retrain)]
        if not tended():
            wanted.append(_crashed(client.read_deployment_by_name(f"tend/{scoped('on-demand')}").id))
        wanted += [one for name in blocks for one in _notices(name, _block(client, name))]
        names = {one.name for one in wanted}
        existing = {old.name: old for old in client.read_automations() if old.name.startswith(_prefix())}
        for name in existing.keys() - names:
            client.delete_automation(existing[name].id)
        for one in wanted:
            # an unchanged automation is not written again: that would reset the runs whose heartbeats it waits for
            if one.name not in existing:
                client.create_automation(one)
            elif _content(existing[one.name]) != _content(one):
                client.update_automation(existing[one.name].id, one)
    return sorted(names)


def _ours() -> dict[str, str]:
    """Flow runs of this project's deployments, by their tag."""
    tag = f"project-{project()}" if project() else "transferline"
    return {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}


def _content(automation: AutomationCore) -> dict[str, Any]:
    """An automation as plain values, without the ids that a server assigns."""
    fields = automation.model_dump(mode="json", include={"name", "description", "enabled", "actions"})
    trigger = automation.trigger.model_dump(mode="json", exclude={"id", "name", "description", "type"})
    # the event names are sets; as JSON they are lists in any order
    return {**fields, "trigger": {k: sorted(v) if isinstance(v, list) else v for k, v in trigger.items()}}


def _silent() -> AutomationCore:
    # proactive: it fires when an expected event does not come. Its state is in the server's database, so it fires in time
    # even after the server was restarted.
    trigger = EventTrigger(
        after={f"{_RUN}heartbeat"},
        expect=_SIGNS_OF_LIFE,
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related=_ours(),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENT,
    )
    message = f"No heartbeat for {SILENT.seconds} s: the process or its machine is gone (killed, out of memory, lost)"
    action = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message)
    about = "Marks a flow run as crashed when its heartbeat stops."
    return _automation("mark runs without heartbeat as crashed", about, trigger, action)


def _crashed(tend: UUID) -> AutomationCore:
    trigger = _each({f"{_RUN}Crashed"}, "prefect.flow-run.*", _RESTART)
    action = RunDeployment(deployment_id=tend)
    about = "Schedules the same run again, up to TRANSFERLINE_MOST_STARTS starts."
    return _automation("restart crashed runs", about, trigger, action)


def _wanted(retrain: UUID) -> AutomationCore:
    trigger = _each({"transferline.data.changed", "transferline.retrain.wanted"}, "transferline.target.*")
    parameters = {"target": {"__prefect_kind": "jinja", "template": "{{ event.payload.target }}"}}
    action = RunDeployment(deployment_id=retrain, parameters=parameters)
    return _automation("retrain on new data or drift", "Retrains the target that the event names.", trigger, action)


def _notices(name: str, block: UUID) -> list[AutomationCore]:
    outcome = _each({f"transferline.{kind}" for kind in ("verdict", "drift", "rollback")}, "transferline.target.*")
    failed = _each({f"{_RUN}Failed"}, "prefect.flow-run.*", _ours())
    news = SendNotification(block_document_id=block, subject="{{ event.event }}", body="{{ event.payload.text }}")
    body = "{{ flow_run.name }} failed: {{ flow_run.state.message }}"
    failure = SendNotification(block_document_id=block, subject="transferline.failure", body=body)
    return [
        _automation(f"notify {name} of verdicts, drift and rollbacks", "Sends the text of the event.", outcome, news),
        _automation(f"notify {name} of failures", "Sends the name of the run and its error.", failed, failure),
    ]


def _each(expect: set[str], resource: str, related: dict[str, str] | None = None) -> EventTrigger:
    """A trigger that fires immediately on every such event."""
    return EventTrigger(
        expect=expect,
        match={"prefect.resource.id": resource, **_of_project(resource)},
        match_related=related or {},
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _of_project(resource: str) -> dict[str, str]:
    """Events of targets carry the project's name."""
    return {"transferline.project": project()} if project() and resource.startswith("transferline.") else {}


def _automation(name: str, about: str, trigger: EventTrigger, action: Any) -> AutomationCore:
    return AutomationCore(name=f"{_prefix()}{name}", description=about, enabled=True, trigger=trigger, actions=[action])


def _prefix() -> str:
    """What the names of this project's automations begin with."""
    return f"transferline {project()}: " if project() else "transferline: "


def _block(client: SyncPrefectClient, name: str) -> UUID:
    kind, _, document = name.partition("/")
    try:
        return client.read_block_document_by_name(document, kind, include_secrets=False).id
    except ObjectNotFound as error:
        mend = "Create the block in Prefect's UI (Blocks) and name it as type/name, such as slack-webhook/team"
        raise InputError("params.yaml, notify", f"there is no block {name!r}", mend) from error
