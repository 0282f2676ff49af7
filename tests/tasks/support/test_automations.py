"""Automations are created once, replaced where they changed, and deleted where they are no longer wanted."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectNotFound

from transferline.core.errors import InputError
from transferline.tasks.support import automations
from transferline.tasks.support.automations import automate

RETRAIN, TEND, BLOCK = UUID(int=1), UUID(int=2), UUID(int=3)
ALWAYS = {"transferline: mark runs without heartbeat as crashed", "transferline: retrain on new data or drift"}
RESTARTED = "transferline: restart crashed runs"


class Server:
    """The automations of a server, and how often each was written."""

    def __init__(self) -> None:
        self.kept: dict[UUID, Automation] = {}
        self.written: list[str] = []

    def read_deployment_by_name(self, name: str) -> Any:
        return SimpleNamespace(id={"retrain/on-demand": RETRAIN, "tend/on-demand": TEND}[name])

    def read_block_document_by_name(self, name: str, kind: str, include_secrets: bool) -> Any:
        assert not include_secrets
        if (kind, name) != ("slack-webhook", "team"):
            raise ObjectNotFound(Exception("no block"))
        return SimpleNamespace(id=BLOCK)

    def read_automations(self) -> list[Automation]:
        return list(self.kept.values())

    def create_automation(self, one: Any) -> None:
        self.update_automation(uuid4(), one)

    def update_automation(self, id: UUID, one: Any) -> None:
        self.written.append(one.name)
        self.kept[id] = Automation(id=id, **one.model_dump())

    def delete_automation(self, id: UUID) -> None:
        del self.kept[id]

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.kept.values()}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    kept = Server()

    @contextmanager
    def client(**_: Any) -> Any:
        yield kept

    monkeypatch.setattr(automations, "get_client", client)
    monkeypatch.delenv("TRANSFERLINE_TENDED", raising=False)
    return kept


def test_what_exists_already_is_left_alone(server: Server) -> None:
    assert automate([]) == sorted({*ALWAYS, RESTARTED})
    assert server.names == {*ALWAYS, RESTARTED}
    server.written.clear()
    automate([])
    assert server.written == []


def test_one_that_was_changed_by_hand_is_put_right(server: Server) -> None:
    automate([])
    id, one = next((id, one) for id, one in server.kept.items() if one.name == RESTARTED)
    server.kept[id] = one.model_copy(update={"enabled": False})
    server.written.clear()
    automate([])
    assert server.written == [RESTARTED]
    assert server.kept[id].enabled


def test_blocks_hear_of_news_and_those_of_others_stay(server: Server) -> None:
    automate(["slack-webhook/team"])
    notices = {name for name in server.names if "slack-webhook/team" in name}
    assert len(notices) == 2
    actions = [one.actions[0] for one in server.kept.values() if one.name in notices]
    assert {action.block_document_id for action in actions} == {BLOCK}  # type: ignore[union-attr]
    other = next(iter(server.kept.values())).model_copy(update={"id": uuid4(), "name": "another team's"})
    server.kept[other.id] = other
    automate([])
    assert server.names == {*ALWAYS, RESTARTED, "another team's"}


def test_a_service_that_restarts_runs_itself_needs_no_automation_for_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    automate([])
    monkeypatch.setenv("TRANSFERLINE_TENDED", "1")
    automate([])
    assert server.names == ALWAYS


def test_an_unknown_block_is_refused_before_anything_is_written(server: Server) -> None:
    with pytest.raises(InputError, match="there is no block 'slack-webhook/nobody'"):
        automate(["slack-webhook/nobody"])
    assert server.written == []


def test_news_of_data_start_the_retrain_of_the_target_in_the_event(server: Server) -> None:
    automate([])
    one = next(one for one in server.kept.values() if one.name == "transferline: retrain on new data or drift")
    action: Any = one.actions[0]
    trigger: Any = one.trigger
    assert action.deployment_id == RETRAIN
    assert action.parameters["target"]["template"] == "{{ event.payload.target }}"
    assert set(trigger.expect) == {"transferline.data.changed", "transferline.retrain.wanted"}
