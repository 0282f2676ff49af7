"""Laws of distillation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kinds import build, score
from tests.methods.parameter.laws import Base, method
from transferline.core.errors import InputError
from transferline.evaluation.prediction_tables import read_predictions
from transferline.models.weights import read_tensors


def test_a_student_of_its_own_size_agrees_with_its_teacher(kinds, tiny: Path, tmp_path: Path) -> None:
    data = kinds["single-label"]
    teacher, _ = build(method("full", epochs=8, patience=8), data, tmp_path / "teacher", tiny)
    alike = method("distill", layers=None, of_teacher=1.0, epochs=16, patience=16)
    student, _ = build(alike, data, tmp_path / "student", tiny, teacher, seed=5)
    for folder in (teacher, student):
        score(folder, data["test"], "accuracy", tmp_path / f"said-{folder.parent.name}")
    one, two = (read_predictions(tmp_path / f"said-{name}") for name in ("teacher", "student"))
    assert (one.predicted == two.predicted).mean() > 0.95


def test_a_shorter_student_has_fewer_layers_and_the_parents_weights_in_them(tiny: Path, bases: Base, tmp_path) -> None:
    from transferline.methods.parameter.distill import shortened

    for family in ("bert", "gpt2", "modernbert", "distilbert"):
        short = shortened(bases(family), 1, tmp_path / family)
        assert sum(t.numel() for t in read_tensors(short).values()) < sum(
            t.numel() for t in read_tensors(bases(family)).values()
        )
    parent, student = read_tensors(tiny), read_tensors(shortened(tiny, 1, tmp_path / "own"))
    name = "encoder.layer.{}.output.dense.weight"
    assert any(torch.equal(student[name.format(0)], parent[name.format(i)]) for i in range(2))
    with pytest.raises(InputError, match="more than the parent's 2"):
        shortened(tiny, 3, tmp_path / "none")
