"""Killed and resumed equals uninterrupted, for every method that learns from several targets at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kinds import CPU
from tests.methods.parameter.laws import method
from transferline.core.stage import Progress, Stage, Work
from transferline.methods.multitask.reptile import Reptile
from transferline.models.weights import read_tensors

STAGES: dict[str, Stage] = {
    **{
        f"hard-sharing {name}": method(
            "hard-sharing", source_tasks=["regression"], weighting={"method": name}, epochs=2
        )
        for name in ("fixed", "uncertainty", "gradnorm", "surgery")
    },
    **{
        name: method(name, source_tasks=["single-label"], epochs=2)
        for name in ("soft-sharing", "cross-stitch", "deep-coral", "dann")
    },
    "auxiliary": method("auxiliary", block=16, epochs=2),
    "reptile": Reptile.model_validate(
        {"source_tasks": ["single-label", "regression"], "rounds": 5, "inner": 3, "max_tokens": 24}
    ),
}


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", STAGES)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(name: str, kinds, tiny: Path, tmp_path: Path) -> None:
    data = {**kinds["single-label"], **{f"{k}/train": kinds[k]["train"] for k in ("single-label", "regression")}}
    often = CPU.model_copy(update={"save_every": 0.0}) if hasattr(CPU, "model_copy") else CPU

    def build(folder: Path, state: Path, kill: bool) -> None:
        folder.mkdir()
        state.mkdir(exist_ok=True)

        def report(_: Progress) -> None:
            if kill and list(state.glob("at-*")):
                raise Killed

        STAGES[name].build(Work(data, 0, folder, state, often, report, tiny, "t", (tiny,)))

    build(tmp_path / "whole", tmp_path / "state-0", False)
    with pytest.raises(Killed):
        build(tmp_path / "killed", tmp_path / "state-1", True)
    assert list((tmp_path / "state-1").glob("at-*"))
    build(tmp_path / "resumed", tmp_path / "state-1", False)
    one, two = read_tensors(tmp_path / "whole"), read_tensors(tmp_path / "resumed")
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one), [k for k in one if not torch.equal(one[k], two[k])]
