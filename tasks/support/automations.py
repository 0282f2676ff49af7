"""Automations: what Prefect's server does by itself when something happens.

* A flow run whose heartbeat stops (its worker is gone, SIGKILL and all) is marked CRASHED: `retries` know nothing of that.
* A crash of one of our runs starts `tend`, which schedules the same run again (restarts.py), where no
  service does so itself.
* New data, or drift where the target asks for it, starts the retrain of that target.
* Verdicts, failures, drift and rollbacks reach the notification blocks that params.yaml names.
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

_PREFIX = "transferline: "
_RUN = "prefect.flow-run."
_HEARD = {f"{_RUN}{what}" for what in ("heartbeat", "Completed", "Failed", "Cancelled", "Crashed", "Suspended")}
_OURS = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.transferline"}
_RESTART = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{RESTART}"}


def automate(blocks: Sequence[str]) -> list[str]:
    """Create or replace this product's automations; returns their names. Raises InputError on an unknown block."""
    with get_client(sync_client=True) as client:
        retrain = client.read_deployment_by_name("retrain/on-demand").id
        wanted = [_silent(), _wanted(retrain)]
        if not tended():
            wanted.append(_crashed(client.read_deployment_by_name("tend/on-demand").id))
        wanted += [one for name in blocks for one in _notices(name, _block(client, name))]
        names = {one.name for one in wanted}
        there = {old.name: old for old in client.read_automations() if old.name.startswith(_PREFIX)}
        for name in there.keys() - names:
            client.delete_automation(there[name].id)
        for one in wanted:
            # one that is as it should be stays: it remembers which runs it waits to hear of
            if one.name not in there:
                client.create_automation(one)
            elif _content(there[one.name]) != _content(one):
                client.update_automation(there[one.name].id, one)
    return sorted(names)


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What an automation does, without the ids that a server gives it."""
    said = automation.model_dump(mode="json", include={"name", "description", "enabled", "actions"})
    trigger = automation.trigger.model_dump(mode="json", exclude={"id", "name", "description", "type"})
    return {**said, "trigger": {k: sorted(v) if isinstance(v, list) else v for k, v in trigger.items()}}


def _silent() -> AutomationCore:
    trigger = EventTrigger(
        after={f"{_RUN}heartbeat"},
        expect=_HEARD,
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related=_OURS,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=SILENT,
    )
    message = f"No heartbeat for {SILENT.seconds} s: its process or its machine is gone (killed, out of memory, lost)"
    action = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message)
    return _automation("a silent run has crashed", "Marks a run whose process is gone.", trigger, action)


def _crashed(tend: UUID) -> AutomationCore:
    trigger = _each({f"{_RUN}Crashed"}, "prefect.flow-run.*", _RESTART)
    action = RunDeployment(deployment_id=tend)
    return _automation("a crashed run is started again", "The run itself gives up after some starts.", trigger, action)


def _wanted(retrain: UUID) -> AutomationCore:
    trigger = _each({"transferline.data.changed", "transferline.retrain.wanted"}, "transferline.target.*")
    parameters = {"target": {"__prefect_kind": "jinja", "template": "{{ event.payload.target }}"}}
    action = RunDeployment(deployment_id=retrain, parameters=parameters)
    return _automation("new data or drift starts a retrain", "Of exactly the target it concerns.", trigger, action)


def _notices(name: str, block: UUID) -> list[AutomationCore]:
    told = _each({f"transferline.{kind}" for kind in ("verdict", "drift", "rollback")}, "transferline.target.*")
    failed = _each({f"{_RUN}Failed"}, "prefect.flow-run.*", _OURS)
    news = SendNotification(block_document_id=block, subject="{{ event.event }}", body="{{ event.payload.text }}")
    body = "{{ flow_run.name }} failed: {{ flow_run.state.message }}"
    failure = SendNotification(block_document_id=block, subject="transferline.failure", body=body)
    return [
        _automation(f"{name} hears of verdicts and drift", "Sends what the event says.", told, news),
        _automation(f"{name} hears of failures", "Sends the run's name and its error.", failed, failure),
    ]


def _each(expect: set[str], resource: str, related: dict[str, str] | None = None) -> EventTrigger:
    """A trigger that fires on each such event, at once."""
    return EventTrigger(
        expect=expect,
        match={"prefect.resource.id": resource},
        match_related=related or {},
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _automation(name: str, about: str, trigger: EventTrigger, action: Any) -> AutomationCore:
    return AutomationCore(name=f"{_PREFIX}{name}", description=about, enabled=True, trigger=trigger, actions=[action])


def _block(client: SyncPrefectClient, name: str) -> UUID:
    kind, _, document = name.partition("/")
    try:
        return client.read_block_document_by_name(document, kind, include_secrets=False).id
    except ObjectNotFound as error:
        mend = "Create the block in Prefect's UI (Blocks), and write it as type/name, such as slack-webhook/team"
        raise InputError("params.yaml, notify", f"there is no block {name!r}", mend) from error
