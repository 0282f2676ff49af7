"""`tend` starts crashed runs again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest

from tests.recording import record
from transferline.flows import tend as module
from transferline.flows.tend import tend


@pytest.mark.parametrize(("names", "said"), [(["one", "two"], "one, two"), ([], "none")])
def test_the_names_of_restarted_runs_are_returned_and_logged(
    names: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def client(**_: Any) -> Any:
        yield "the client"

    monkeypatch.setattr(module, "get_client", client)
    monkeypatch.setattr(module, "project_tag", lambda: "project-p")
    restarted = record(monkeypatch, module, "restart_crashed", names)
    logged = record(monkeypatch, module, "log")
    assert tend.fn() == names
    assert restarted.only[0] == ("the client", "project-p")
    assert logged.only[0] == (f"restarted: {said}",)
