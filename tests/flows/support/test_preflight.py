"""The start of every flow: a run that keeps dying is given up."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.states import Crashed, Running

from tests.recording import record
from transferline.flows.support import preflight
from transferline.flows.support.preflight import KeepsDying, begin


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A flow run with two crashes behind it."""

    @contextmanager
    def client(**_: Any) -> Any:
        states = [Running(), Crashed(message="memory"), Running(), Crashed(message="disk")]
        yield SimpleNamespace(read_flow_run_states=lambda _: states)

    found = SimpleNamespace(run_count=0, id="run")
    monkeypatch.setattr(preflight, "flow_run", found)
    monkeypatch.setattr(preflight, "get_client", client)
    record(monkeypatch, preflight, "close_abandoned", 0)
    monkeypatch.setenv("TRANSFERLINE_MOST_STARTS", "2")
    return found


@pytest.mark.parametrize("count", [None, 0, 1, 2])
def test_a_run_may_be_started_as_often_as_allowed(count: int | None, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = record(monkeypatch, preflight, "end_orphans", 0)
    run.run_count = count
    begin()
    assert len(ended.calls) == 1


def test_once_more_is_too_often_and_the_causes_are_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = record(monkeypatch, preflight, "end_orphans", 0)
    run.run_count = 3
    with pytest.raises(KeepsDying, match="died 2 times and is not started again; the last time: disk"):
        begin()
    assert len(ended.calls) == 1
