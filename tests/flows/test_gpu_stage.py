"""One GPU stage on a worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recording import record
from transferline.core.checkpoint import Checkpoint
from transferline.core.runtime import Runtime
from transferline.flows import gpu_stage
from transferline.flows.gpu_stage import stage
from transferline.methods.parameter import Probe
from transferline.recipes.chain import Step
from transferline.tasks.support.build_request import Request

DONE = Checkpoint(key="tune-1", digest="d", summary={"score": 0.5}, run_id="run")


@pytest.mark.parametrize(("slots", "expected"), [("1", "build_on_a_slot"), ("0", "build_checkpoint")])
def test_a_device_is_used_where_the_worker_has_one(
    slots: str, expected: str, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", slots)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    built = {name: record(monkeypatch, gpu_stage, name, DONE) for name in ("build_on_a_slot", "build_checkpoint")}
    offered = record(monkeypatch, gpu_stage, "offer_built")
    request = Request(Step("tune", Probe(), ("base-1",), (("train", "m"),), 3), {"train": Path("a")}, Runtime(), "run")
    result = stage.fn(json.loads(json.dumps(request.to_json())))
    assert [name for name, made in built.items() if made.calls] == [expected]
    assert built[expected].only[0] == (request,)
    assert offered.only[0] == (request.key,)
    assert Checkpoint.model_validate(result) == DONE
