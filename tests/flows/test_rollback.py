"""`rollback` tells why the champion changed."""

from __future__ import annotations

import pytest

from tests.recording import record
from transferline.flows import rollback as module
from transferline.flows.rollback import rollback


def test_both_versions_and_the_reason_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rolled = record(monkeypatch, module, "roll_back", ("3", "2"))
    page = record(monkeypatch, module, "create_markdown_artifact")
    told = record(monkeypatch, module, "tell")
    assert rollback.fn("film", "complaints") == {"from": "3", "to": "2"}
    assert rolled.only == (("film", "complaints"), {"by": "the rollback flow"})
    text = "film: champion is version 2 again, after version 3. Reason: complaints"
    assert page.only[0] == (text,)
    assert told.only[0] == ("rollback", "film", text)
