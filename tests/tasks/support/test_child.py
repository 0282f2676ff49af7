"""The process of one stage: exit codes, and errors left for the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recording import record
from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.methods.parameter import Probe
from transferline.recipes.chain import Step
from transferline.tasks.support import child
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.child import main


@pytest.mark.parametrize(
    ("error", "code", "left"),
    [
        (None, 0, None),
        (InputError("data", "wrong", "mend it"), 2, ["data", "wrong", "mend it"]),
        (ValueError("x"), 1, "ValueError: x"),
        (MemoryError(), 1, "MemoryError: "),
    ],
)
def test_an_error_is_left_beside_the_request(
    error: Exception | None, code: int, left: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(
        Step("tune", Probe(), ("adapt-1",), (("train", "md5"),), 2), {"train": Path("a")}, Runtime(), "run"
    )
    file = tmp_path / "tune.json"
    file.write_text(json.dumps(request.to_json()))

    def build(wanted: Request) -> None:
        assert wanted == request
        if error is not None:
            raise error

    watched = record(monkeypatch, child, "end_with_the_run")
    monkeypatch.setattr(child, "build_checkpoint", build)
    assert main(file) == code
    assert len(watched.calls) == 1
    told = tmp_path / "tune.error"
    assert (json.loads(told.read_text()) if told.exists() else None) == left
