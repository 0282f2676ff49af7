"""Laws of the meta-learned initialisation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kinds import CPU, build, score
from tests.methods.parameter.laws import method
from transferline.core.stage import Work
from transferline.methods.multitask.reptile import Reptile
from transferline.models.weights import read_tensors
from transferline.recipes.registry import ADAPTING

QUICK = {"rounds": 6, "inner": 3, "max_tokens": 24, "schedule": {"learning_rate": 3e-3, "batch_size": 16}}


@pytest.fixture(scope="module")
def data(kinds) -> dict[str, Path]:
    return {
        **kinds["single-label"],
        **{f"{kind}/train": kinds[kind]["train"] for kind in ("single-label", "regression", "tokens")},
    }


def stage(*source_tasks: str, **changes: object) -> Reptile:
    return Reptile.model_validate({"source_tasks": source_tasks, **QUICK, **changes})


def work(data: dict[str, Path], tiny: Path, folder: Path) -> Work:
    return Work(data, 0, folder, folder, CPU, lambda _: None, tiny, "t", (tiny,))


def test_no_outer_step_leaves_the_base_as_it_was(data, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(stage("single-label", "regression", outer=0.0), data, tmp_path / "t", tiny)
    parent, made = read_tensors(tiny), read_tensors(out)
    encoder = [name for name in parent if not name.startswith("pooler.")]  # the pooler counts with the heads
    assert all(torch.equal(parent[name], made[f"bert.{name}"]) for name in encoder)


def test_a_round_moves_a_share_of_the_way_to_where_the_task_led(data, tiny: Path, tmp_path: Path) -> None:
    """Known answer: one round by hand. The parameters go three steps and then a share of the way back."""
    learner = stage("single-label", rounds=2).learner(work(data, tiny, tmp_path))
    start = [p.detach().clone() for p in learner.moving]
    for step in range(3):
        learner.before_step(step, 6)
        with torch.no_grad():
            for parameter in learner.moving:
                parameter.add_(1.0)
        learner.after_step(1.0)
    assert all(torch.allclose(p, s + 3 * 0.5) for p, s in zip(learner.moving, start, strict=True))
    for step in range(3, 6):
        learner.before_step(step, 6)
        with torch.no_grad():
            for parameter in learner.moving:
                parameter.add_(1.0)
        learner.after_step(1.0)
    assert all(torch.allclose(p, s + 3 * 0.5 + 3 * 0.25) for p, s in zip(learner.moving, start, strict=True))


def test_every_task_has_its_turn_and_the_same_one_for_a_whole_round(data, tiny: Path, tmp_path: Path) -> None:
    learner = stage("single-label", "regression", "tokens", rounds=40).learner(work(data, tiny, tmp_path))
    turns = []
    for step in range(120):
        learner.before_step(step, 120)
        turns.append(learner.parts.index(learner.part()))
    assert all(turns[i] == turns[i - i % 3] for i in range(120))
    assert set(turns) == {0, 1, 2}


def test_the_base_that_comes_out_learns_a_task_of_the_family(data, tiny: Path, tmp_path: Path) -> None:
    """A probe on it knows the labels of one of its tasks; a kill in a round changes nothing (see test_training for the loop)."""
    assert ADAPTING["reptile"] is Reptile
    out, figures = build(stage("single-label", "regression", rounds=40, outer=1.0), data, tmp_path / "t", tiny)
    assert figures["tasks"] == 2
    probe, _ = build(method("probe", Cs=[0.01]), data, tmp_path / "p", out)
    assert score(probe, data["test"], "accuracy", tmp_path / "s") > 0.9
