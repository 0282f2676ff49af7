"""A person's approval before the champion moves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.project import declare
from tests.recording import record
from transferline.evaluation.verdict import Verdict
from transferline.flows.support import approval
from transferline.flows.support.approval import approve
from transferline.flows.support.planning import Line, open_line
from transferline.tasks.promoting import Approval

PROMOTE = Verdict("promote", "challenger", "tune-1", "superior", ("better than tfidf",))
HOLD = Verdict("hold", "challenger", "tune-1", "inferior", ())
RUN: Any = SimpleNamespace(run_id="run-1")


@pytest.fixture
def line(bare: Path) -> Line:
    """The line of a target that asks for approval."""
    declare(bare, operations={"reviews": {"approval": True}})
    return open_line("reviews", "full", None, "cpu", "fp32")


def ask(line: Line, verdict: Verdict) -> Approval:
    return approve(line, None, verdict, RUN)  # type: ignore[arg-type]


def test_without_a_promotion_or_a_declaration_no_person_is_asked(
    line: Line, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = record(monkeypatch, approval, "pause_flow_run")
    monkeypatch.setattr(approval, "deployment", SimpleNamespace(id="d"))
    assert ask(line, HOLD) == Approval(True)
    declare(bare)
    assert ask(open_line("reviews", "full", None, "cpu", "fp32"), PROMOTE) == Approval(True)
    assert asked.calls == []


def test_a_run_from_a_terminal_waits_in_the_registry(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = record(monkeypatch, approval, "pause_flow_run")
    monkeypatch.setattr(approval, "deployment", SimpleNamespace(id=None))
    assert ask(line, PROMOTE) == Approval(False, reason="waits for approval")
    assert asked.calls == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"approve": True, "name": "Ada", "reason": "looked at it"}, Approval(True, "Ada", "looked at it")),
        ({}, Approval(False, "a person in the UI", "")),  # a form that is sent empty approves nothing
    ],
)
def test_the_answer_of_the_form_decides(
    answer: dict[str, Any], expected: Approval, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = record(monkeypatch, approval, "pause_flow_run", approval.ApprovalForm(**answer))
    monkeypatch.setattr(approval, "deployment", SimpleNamespace(id="d"))
    monkeypatch.setenv("TRANSFERLINE_APPROVAL_HOURS", "0.5")
    assert ask(line, PROMOTE) == expected
    assert asked.only[1]["timeout"] == 1800
    form = asked.only[1]["wait_for_input"]
    assert "better than tfidf" in form._description
    assert "run-1" in form._description
