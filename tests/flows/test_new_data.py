"""New data on a branch are noticed once, for the targets that they touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.recording import record
from transferline.flows import new_data
from transferline.flows.new_data import notice_data


class Variables:
    """Prefect's variables."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, name: str, default: Any = None) -> Any:
        return self.kept.get(name, default)

    def set(self, name: str, value: Any, overwrite: bool) -> None:
        assert overwrite
        self.kept[name] = value


@pytest.fixture
def pins(bare: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """What dvc.lock of the branch says; a test may change it."""
    now: dict[str, dict[str, str]] = {"reviews": {"train": "r1"}, "tone": {"train": "t1"}}
    monkeypatch.setattr(new_data, "Variable", Variables())
    monkeypatch.setattr(new_data, "pinned_at", lambda revision, params: {name: dict(one) for name, one in now.items()})
    record(monkeypatch, new_data, "begin")
    record(monkeypatch, new_data, "tracked", "main")
    record(monkeypatch, new_data, "update_branch", "0123456789")
    return now


def test_the_first_look_touches_nothing_and_a_change_is_told_once(
    pins: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = record(monkeypatch, new_data, "tell")
    assert notice_data.fn() == []
    pins["tone"]["train"] = "t2"
    assert notice_data.fn() == ["tone"]
    assert told.only == (("data.changed", "tone", "tone: new data on main"), {"revision": "0123456789"})
    assert notice_data.fn() == []


def test_a_target_that_is_new_is_touched(pins: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch, new_data, "tell")
    notice_data.fn()
    pins["plays"] = {"train": "p1"}
    assert notice_data.fn() == ["plays"]


def test_branches_are_remembered_apart(pins: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    told = record(monkeypatch, new_data, "tell")
    notice_data.fn()
    pins["tone"]["train"] = "t2"
    assert notice_data.fn("another-branch") == []
    assert told.calls == []
    assert notice_data.fn("main") == ["tone"]
