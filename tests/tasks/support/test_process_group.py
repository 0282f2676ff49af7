"""Data-parallel training gives the model of one process. If a process dies, the stage fails and later resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
import torch
from torch._dynamo.utils import counters

from tests.project import write_tiny_bert
from transferline.core import throughput
from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.core.stage import Stage
from transferline.models.weights import read_tensors
from transferline.recipes.chain import Step
from transferline.recipes.registry import ADAPTING, TUNING
from transferline.tasks.support import checkpoint_building
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.checkpoint_building import build_checkpoint
from transferline.tasks.support.process_group import crew

ONE = Runtime(device="cpu", precision="fp32", save_every=1e9)
TWO = ONE.model_copy(update={"processes": 2})
SMALL = {"max_tokens": 24, "epochs": 3, "patience": 3, "schedule": {"batch_size": 16, "learning_rate": 3e-3}}
STAGES: dict[str, Stage] = {
    "full": TUNING["full"].model_validate(SMALL),
    "lora": TUNING["lora"].model_validate({**SMALL, "dropout": 0.0}),
    "bitfit": TUNING["bitfit"].model_validate(SMALL),
    "adapter": TUNING["adapter"].model_validate(SMALL),
    "freeze": TUNING["freeze"].model_validate({**SMALL, "lowest": 1}),
    "a loss over the whole batch": TUNING["deep-coral"].model_validate({**SMALL, "source_tasks": ["plays"]}),
    "masked": ADAPTING["masked"].model_validate({"block": 16, "tokens": 3000, "schedule": {"batch_size": 16}}),
    "causal": ADAPTING["causal"].model_validate({"block": 16, "tokens": 3000, "schedule": {"batch_size": 16}}),
}


class Kept:
    """A stand-in for StageRun that keeps the reported rows."""

    run_id = "run"
    rows: ClassVar[list[dict[str, float]]] = []

    def __init__(self, *_: object) -> None:
        Kept.rows = []

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None: ...
    def finish(self, *_: object) -> None: ...
    def report(self, progress: Any) -> None:
        Kept.rows.append(dict(progress.metrics))


@pytest.fixture
def build(kinds, bases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Build a stage on a base without dropout, in its own store. Returns (checkpoint, request)."""
    monkeypatch.setattr(checkpoint_building, "StageRun", Kept)
    monkeypatch.setattr(throughput, "REPORT_EVERY", 0.0)  # report every step
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))

    def make(stage: Stage, runtime: Runtime, store: str) -> tuple[Path, Request]:
        monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / store))
        parent = tmp_path / store / "base-0"
        if isinstance(stage, ADAPTING["causal"]):
            shutil.copytree(bases("llama"), parent, dirs_exist_ok=True)
        elif not parent.exists():
            write_tiny_bert(parent)
            config = json.loads((parent / "config.json").read_text())
            config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
            (parent / "config.json").write_text(json.dumps(config))
        data = {**kinds["single-label"], "plays/train": kinds["single-label"]["train"]}
        data = {role: path for role, path in data.items() if role in stage.roles()}
        kind = "adapt" if stage.kind == "adapt" else "tune"
        read = tuple((role, role) for role in data)
        request = Request(Step(kind, stage, ("base-0",), read, 0, "challenger"), data, runtime)
        build_checkpoint(request)
        return tmp_path / store / request.key, request

    return make


@pytest.mark.parametrize(
    "name", [name if name == "full" else pytest.param(name, marks=pytest.mark.slow) for name in STAGES]
)
def test_two_processes_train_the_model_of_one(name: str, build) -> None:
    alone, first = build(STAGES[name], ONE, "one")
    curve = [row["loss"] for row in Kept.rows if "loss" in row]
    together, second = build(STAGES[name], TWO, "two")
    assert first.key == second.key
    assert len(curve) > 5
    assert [row["loss"] for row in Kept.rows if "loss" in row] == pytest.approx(curve, rel=3e-3)
    one, two = read_tensors(alone), read_tensors(together)
    assert all(torch.allclose(one[tensor], two[tensor], atol=2e-4) for tensor in one)
    costs = [json.loads((path / "lineage.json").read_text())["cost"] for path in (alone, together)]
    assert costs[1]["tokens"] == costs[0]["tokens"]
    assert costs[1]["flops"] == pytest.approx(costs[0]["flops"], rel=0.1)
    assert "RANK" not in os.environ
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    "name",
    [
        "full",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("causal", "freeze", "lora", "bitfit", "adapter")),
    ],
)
def test_layers_in_shards_train_the_model_of_one(name: str, build) -> None:
    alone, first = build(STAGES[name], ONE, "one")
    curve = [row["loss"] for row in Kept.rows if "loss" in row]
    together, second = build(STAGES[name], TWO.model_copy(update={"sharded": True, "save_every": 0.0}), "two")
    assert first.key == second.key
    assert json.loads((together / "lineage.json").read_text())["runtime"]["sharded"] == "true"
    assert [row["loss"] for row in Kept.rows if "loss" in row] == pytest.approx(curve, rel=3e-3)
    one, two = read_tensors(alone), read_tensors(together)
    assert all(torch.allclose(one[tensor], two[tensor], atol=2e-4) for tensor in one)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [ONE, TWO.model_copy(update={"sharded": True})], ids=["whole", "in shards"])
def test_compiled_layers_train_the_model_of_written_ones(runtime: Runtime, build) -> None:
    written, _ = build(STAGES["causal"], ONE, "written")
    counters.clear()
    compiled, _ = build(STAGES["causal"], runtime.model_copy(update={"compiled": True}), "compiled")
    assert counters["stats"]["unique_graphs"] > 0
    assert json.loads((compiled / "lineage.json").read_text())["runtime"]["compiled"] == "true"
    one, two = read_tensors(written), read_tensors(compiled)
    assert all(torch.allclose(one[tensor], two[tensor], atol=5e-4) for tensor in one)


@pytest.mark.parametrize("sharded", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_that_dies_takes_the_stage_down_and_the_next_start_goes_on(build, sharded: bool) -> None:
    stage = TUNING["full"].model_validate(
        {**SMALL, "epochs": 8, "patience": 8, "schedule": {"batch_size": 8, "learning_rate": 1e-4}}
    )
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            for process in psutil.Process().children(recursive=True):
                if "transferline.tasks.support.process_group" in " ".join(process.cmdline()) and any(
                    Path(os.environ["TRANSFERLINE_STORE"]).glob(".state/*/at-*")
                ):
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
            time.sleep(0.05)

    threading.Thread(target=kill, daemon=True).start()
    often = TWO.model_copy(update={"save_every": 0.1, "sharded": sharded})
    with pytest.raises(RuntimeError, match="process 1 ended with exit code -9"):
        build(stage, often, "killed")
    assert not psutil.pid_exists(killed[0]) or psutil.Process(killed[0]).status() == psutil.STATUS_ZOMBIE
    states = list(Path(os.environ["TRANSFERLINE_STORE"]).glob(".state/*/at-*"))
    assert states
    done = json.loads((states[0] / "progress.json").read_text())["step"]
    resumed, _ = build(stage, ONE if sharded else TWO, "killed")  # saved states are the same with and without sharding
    told = [row["step"] for row in Kept.rows]  # the resumed run reports the rows of the killed run again
    assert done + 1 in told
    whole, _ = build(stage, ONE, "whole")
    one, two = read_tensors(resumed), read_tensors(whole)
    assert all(torch.allclose(one[tensor], two[tensor], atol=0.02) for tensor in one)


def test_more_processes_than_gpus_are_refused(build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runtime, "resolve", lambda self: self.model_copy(update={"device": "cuda"}))
    monkeypatch.setattr(Runtime, "apply", lambda self: None)
    monkeypatch.setattr(Runtime, "describe", lambda self: {})
    with pytest.raises(InputError, match="2 processes on 0 visible GPUs"):
        build(STAGES["full"], TWO, "gpu")


def test_one_process_or_a_stage_that_does_not_train_starts_no_other(bare: Path) -> None:
    before = set(os.environ)
    long = Request(Step("tune", STAGES["full"], role="challenger"), {}, ONE)
    short = Request(Step("tune", TUNING["probe"].model_validate({}), role="challenger"), {}, TWO)
    assert not short.step.stage.long
    for request, runtime in ((long, ONE), (short, TWO)):
        with crew(request, runtime):
            assert set(os.environ) == before
            assert not (bare / "store" / ".requests").exists()
