"""Many targets: a failing one stops no other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.project import declare
from tests.recording import Recorder, record
from transferline.core.errors import InputError
from transferline.flows import fleet
from transferline.flows.fleet import IN_FLIGHT, SomeFailed, retrain_all

NAMES = ("first", "second", "third")


@pytest.fixture
def retrain(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A project of three targets, the second of which fails."""
    declare(
        bare,
        default_target="first",
        targets={name: {"domain": "cinema", "data": "reviews.csv"} for name in NAMES},
    )

    def one(name: str, *_: Any) -> dict[str, str]:
        if name == "second":
            raise ValueError("no data")
        return {"decision": "promote", "headline": f"{name} is better", "champion": "1"}

    for name in ("begin", "pin_all"):
        record(monkeypatch, fleet, name)
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "0")
    return record(monkeypatch, fleet, "retrain", one)


def test_a_failing_target_is_told_at_the_end(retrain: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    page = record(monkeypatch, fleet, "create_table_artifact")
    with pytest.raises(SomeFailed, match="1 of 3 targets failed: second"):
        retrain_all.fn(device="cpu")
    assert [args[0] for args, _ in retrain.calls] == list(NAMES)
    rows = page.only[0][0]
    assert [row["decision"] for row in rows] == ["promote", "failed", "promote"]
    assert rows[1]["reason"] == "ValueError: no data"
    assert page.only[1]["description"] == "3 targets: 2 promoted, 1 failed"


def test_named_targets_only(retrain: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch, fleet, "create_table_artifact")
    (row,) = retrain_all.fn(["third"], "full", "cpu", "fp32")
    assert (row["target"], row["headline"]) == ("third", "third is better")
    assert retrain.only[0] == ("third", "full", None, "cpu", "fp32")


def test_a_wrong_name_is_refused_before_anything_is_retrained(retrain: Recorder) -> None:
    with pytest.raises(InputError, match="target 'fourth': not declared"):
        retrain_all.fn(["first", "fourth"])
    assert retrain.calls == []


@pytest.mark.parametrize(
    ("place", "device", "slots", "lanes"),
    [
        ("local", "auto", "0", 1),
        ("local", "auto", "3", 3),
        ("local", "cpu", "3", 1),
        ("workers", "cpu", "0", IN_FLIGHT),
        ("ray", "auto", "1", IN_FLIGHT),
    ],
)
def test_targets_at_once(place: str, device: str, slots: str, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_PLACEMENT", place)
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", slots)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert fleet._lanes(device) == lanes


def test_lanes_work_side_by_side_and_keep_the_order() -> None:
    together = threading.Barrier(3, timeout=20)

    def one(name: str) -> dict[str, str]:
        together.wait()  # a third that never starts would break this
        return {"target": name}

    assert fleet._each(one, list(NAMES), 3) == [{"target": name} for name in NAMES]
