"""Which crashed runs are started again, and which are given up."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed, Failed, Running, State

from transferline.tasks.support import restarts
from transferline.tasks.support.restarts import (
    LOOK_EVERY,
    SILENT,
    Tender,
    given_up,
    mark_ended,
    mark_silent,
    restart_crashed,
    under_way,
)


class Server:
    """Runs with the history of their states, and what was heard of them."""

    def __init__(self, **histories: list[State]) -> None:
        self.runs = {
            name: SimpleNamespace(id=UUID(int=number), name=name, state=states[-1])
            for number, (name, states) in enumerate(histories.items())
        }
        self.histories = {self.runs[name].id: states for name, states in histories.items()}
        self.set: dict[str, State] = {}
        self.heard: set[UUID] = set()
        self.deleted: set[UUID] = set()
        self._client = self

    def read_flow_runs(self, flow_run_filter: Any) -> list[Any]:
        (kind,) = flow_run_filter.state.type.any_
        return [run for run in self.runs.values() if run.state.type == kind]

    def read_flow_run_states(self, run: UUID) -> list[State]:
        return self.histories[run]

    def set_flow_run_state(self, run: UUID, state: State, force: bool = False) -> None:
        if run in self.deleted:
            raise ObjectNotFound(Exception("no such run"))
        self.set[next(one.name for one in self.runs.values() if one.id == run)] = state

    def post(self, _: str, json: dict[str, Any]) -> Any:
        (resource,) = json["filter"]["resource"]["id"]
        events = [1] if UUID(resource.removeprefix("prefect.flow-run.")) in self.heard else []
        return SimpleNamespace(raise_for_status=lambda: SimpleNamespace(json=lambda: {"events": events}))


DEAD = Crashed(message="killed")


def test_a_crashed_run_is_scheduled_again_until_it_died_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_MOST_STARTS", "2")
    server: Any = Server(once=[Running(), DEAD], twice=[DEAD, Running(), DEAD], failed=[Failed()], running=[Running()])
    assert restart_crashed(server, "project-p") == ["once"]
    assert server.set.keys() == {"once", "twice"}
    assert server.set["once"].name == "AwaitingRetry"
    assert server.set["twice"].is_failed()
    assert server.set["twice"].message == "died 2 times and is not started again; the last time: killed"


def test_the_reason_names_the_last_cause() -> None:
    assert given_up(["memory", "disk"]) == "died 2 times and is not started again; the last time: disk"
    assert given_up([]).endswith("cause unknown")


def test_only_a_run_that_was_not_heard_of_is_silent() -> None:
    old = datetime.now(UTC) - 2 * SILENT
    states = {name: [Running(timestamp=old)] for name in ("silent", "heard")}
    server: Any = Server(**states, young=[Running(timestamp=old + 1.5 * SILENT)])
    server.heard = {server.runs["heard"].id}
    assert mark_silent(server, "project-p") == ["silent"]
    assert server.set["silent"].is_crashed()


def test_runs_that_end_with_their_worker_are_crashed() -> None:
    server: Any = Server(one=[Running()], other=[Running()])
    mark_ended(server, {str(server.runs["one"].id)})
    assert [(name, state.is_crashed()) for name, state in server.set.items()] == [("one", True)]


def test_a_run_that_somebody_deletes_meanwhile_is_left_out() -> None:
    old = datetime.now(UTC) - 2 * SILENT
    server: Any = Server(crashed=[DEAD], silent=[Running(timestamp=old)], other=[Running(timestamp=old)], again=[DEAD])
    server.deleted = {server.runs[name].id for name in ("crashed", "silent")}
    assert restart_crashed(server, "project-p") == ["again"]
    assert mark_silent(server, "project-p") == ["other"]
    mark_ended(server, {str(run) for run in server.deleted})


@pytest.fixture
def tender(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A tender with a clock and a server of its own."""
    told: list[str] = []
    made: Any = Tender("http://server/api", told.append)
    made.told, made.now, made.asked, made.away = told, 1000.0, 0, False
    made.server = Server(crashed=[DEAD], silent=[Running(timestamp=datetime.now(UTC) - 2 * SILENT)])
    made.listening = 1000.0

    @contextmanager
    def client() -> Any:
        made.asked += 1
        if made.away:
            raise httpx.ConnectError("away")
        yield made.server

    made._client = client
    monkeypatch.setattr(restarts.time, "monotonic", lambda: made.now)
    return made


def test_it_looks_every_few_seconds(tender: Any) -> None:
    for _ in range(10):
        tender.look()
        tender.now += LOOK_EVERY / 2
    assert tender.asked == 5
    assert tender.told[0] == "crashed crashed and is started again"


def test_a_params_file_that_is_wrong_for_a_moment_does_not_end_the_service(tender: Any, bare: Path) -> None:
    (bare / "params.yaml").write_text("targets: [")
    tender.look()
    assert tender.told == ["crashed crashed and is started again"]


def test_silence_counts_only_while_the_server_was_listening(tender: Any) -> None:
    tender.look()
    assert "silent" not in tender.server.set
    tender.now += SILENT.total_seconds() - 1
    tender.away = True
    tender.look()  # starts to count anew
    tender.away = False
    tender.now += LOOK_EVERY + 1
    tender.look()
    assert "silent" not in tender.server.set
    tender.now += SILENT.total_seconds() + 1
    tender.look()
    assert tender.server.set["silent"].is_crashed()


def test_the_end_is_said_even_to_a_server_that_is_away(tender: Any) -> None:
    tender.cut_off({str(tender.server.runs["silent"].id)})
    assert tender.server.set["silent"].is_crashed()
    tender.away = True
    tender.cut_off(set())


def test_runs_under_way_are_those_of_our_own_children() -> None:
    before = under_way()
    environment = {**os.environ, "PREFECT__FLOW_RUN_ID": "a-run"}
    command = [sys.executable, "-c", "print(1, flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it has started
        assert under_way() == {*before, "a-run"}
        child.kill()
    assert under_way() == before


def test_silence_is_longer_than_some_missed_heartbeats() -> None:
    from transferline.tasks.support.deployments import HEARTBEAT

    assert 4 * timedelta(seconds=int(HEARTBEAT)) <= SILENT
