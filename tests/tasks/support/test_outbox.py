"""Outbox while the tracking server is down: order of entries, provisional run ids, nothing lost or sent twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from requests.exceptions import ConnectionError as NoConnection

from transferline.core.errors import InputError
from transferline.tasks.support import outbox


class Server:
    """A tracking client with a server that can be down."""

    def __init__(self) -> None:
        self.away, self.heard = False, list[tuple[str, Any]]()

    def _hear(self, what: str, *said: Any) -> None:
        if self.away:
            raise NoConnection("connection refused")
        self.heard.append((what, said))

    def create_run(self, experiment: str, start_time: int, tags: dict, run_name: str) -> Any:
        self._hear("create", run_name, tags)
        made = f"run{len(self.heard)}"
        return type("Run", (), {"info": type("Info", (), {"run_id": made})})

    def log_batch(self, run: str, points: list, named: list = ()) -> None:
        self._hear("batch", run, [(p.key, p.value, p.step) for p in points])

    def set_tag(self, run: str, name: str, value: str) -> None:
        self._hear("tag", run, name, value)

    def set_terminated(self, run: str, status: str, time: int) -> None:
        self._hear("end", run, status)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path))
    monkeypatch.setattr(outbox, "REST", 0.0)
    monkeypatch.setattr(outbox, "_away_until", 0.0)
    return Server()


def point(run: str, value: float, step: int) -> dict[str, Any]:
    return {"do": "batch", "run": run, "metrics": [["loss", value, 0, step]], "parameters": {}}


def test_while_the_server_answers_everything_is_sent_at_once(server: Server) -> None:
    run = outbox.create(server, "1", "tune", {})
    outbox.send(server, point(run, 0.5, 1))
    assert run == "run1"
    assert server.heard[-1] == ("batch", ("run1", [("loss", 0.5, 1)]))
    assert not list(outbox.folder().glob("*.jsonl"))


def test_what_was_said_while_it_was_away_follows_in_order_under_the_real_id(server: Server) -> None:
    server.away = True
    parent = outbox.create(server, "1", "parent", {})
    child = outbox.create(server, "1", "child", {"mlflow.parentRunId": parent})
    assert parent.startswith(outbox.PENDING)
    for step in (1, 2):
        outbox.send(server, point(child, 1.0 / step, step))
    outbox.send(server, {"do": "end", "run": child, "status": "FINISHED", "time": 1})
    assert server.heard == []
    server.away = False
    assert outbox.drain(server)
    assert [what for what, _ in server.heard] == ["create", "create", "batch", "batch", "end"]
    assert server.heard[1] == ("create", ("child", {"mlflow.parentRunId": "run1"}))
    assert server.heard[2][1][0] == outbox.real_id(child) == "run2"


def test_a_second_absence_in_the_middle_repeats_nothing(server: Server) -> None:
    run = outbox.create(server, "1", "tune", {})
    server.away = True
    for step in range(4):
        outbox.send(server, point(run, 1.0, step))
    calls = iter([False, False, True])
    hear = Server._hear

    def flaky(what: str, *said: Any) -> None:
        server.away = next(calls, False)
        hear(server, what, *said)

    server._hear = flaky  # type: ignore[method-assign]
    assert not outbox.drain(server)
    assert outbox.drain(server)
    steps = [said[1][0][2] for what, said in server.heard if what == "batch"]
    assert steps == [0, 1, 2, 3]


def test_what_a_dead_process_left_is_sent_by_the_next_one(server: Server) -> None:
    import json
    import os

    run = outbox.create(server, "1", "tune", {})
    left = outbox.folder() / f"{os.uname().nodename}-999999999.jsonl"
    left.write_text(json.dumps(point(run, 0.25, 7)) + "\n")
    assert outbox.drain(server)
    assert server.heard[-1] == ("batch", ("run1", [("loss", 0.25, 7)]))
    assert not left.exists()


def test_a_refusal_is_no_absence(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise MlflowException("INVALID_PARAMETER_VALUE: no such run")

    monkeypatch.setattr(server, "log_batch", refuse)
    with pytest.raises(MlflowException):
        outbox.send(server, point("run1", 1.0, 1))


def test_patience_has_an_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_PATIENCE", "0")
    server.away = True
    with pytest.raises(InputError, match=r"does not answer after 0 seconds, and the test needs it"):
        outbox.patiently(lambda: server.set_tag("run1", "a", "b"), "the test")


@pytest.mark.parametrize("bad", ["torn", "refused", "file is gone"])
def test_an_entry_that_can_never_be_sent_does_not_stop_the_others(
    server: Server, monkeypatch: pytest.MonkeyPatch, bad: str, tmp_path: Path
) -> None:
    run = outbox.create(server, "1", "tune", {})
    server.away = True
    outbox.send(server, point(run, 0.5, 1))
    outbox.send(server, {"do": "file", "run": run, "path": str(tmp_path / "gone" / "loss.png"), "to": None})
    outbox.send(server, point(run, 0.4, 2))
    server.away = False
    (file,) = outbox.folder().glob("*.jsonl")
    lines = file.read_text().splitlines()
    if bad == "torn":
        lines[1] = lines[1][:20]
        file.write_text("\n".join(lines) + "\n")

    def log_artifact(_: str, path: str, to: str | None) -> None:
        if bad == "refused":
            raise MlflowException("INVALID_PARAMETER_VALUE: no")
        raise FileNotFoundError(path)

    monkeypatch.setattr(server, "log_artifact", log_artifact, raising=False)
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(outbox, "notice", lambda *parts: said.append(parts))
    assert outbox.drain(server)
    assert [one for one in server.heard if one[0] == "batch"] == [
        ("batch", ("run1", [("loss", 0.5, 1)])),
        ("batch", ("run1", [("loss", 0.4, 2)])),
    ]
    assert [parts[0] for parts in said] == ["dropped"]
    assert "1 log entries" in said[0][2]
    assert not list(outbox.folder().glob("*.jsonl"))
