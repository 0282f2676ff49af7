"""Events name the target and say what notifications send."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recording import record
from transferline.tasks.support import events
from transferline.tasks.support.events import tell


def test_an_event_names_its_target_and_its_project(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emitted = record(monkeypatch, events, "emit_event")
    tell("drift", "reviews", "reviews: drift", threshold=0.5)
    args, event = emitted.only
    assert args == ()
    assert event["event"] == "transferline.drift"
    assert event["resource"] == {
        "prefect.resource.id": "transferline.target.reviews",
        "prefect.resource.name": "reviews",
        "transferline.project": "bare",
    }
    assert event["payload"] == {"target": "reviews", "text": "reviews: drift", "threshold": 0.5}
