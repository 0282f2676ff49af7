"""Laws of CORAL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import build, score
from tests.methods.parameter.laws import method
from transferline.methods.feature.coral import coral
from transferline.models.weights import read_tensors


def points(rows: int, seed: int, mixing: np.ndarray | None = None) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(rows, 4))
    return made if mixing is None else made @ mixing


def test_the_covariances_become_equal() -> None:
    rng = np.random.default_rng(0)
    source, target = points(500, 1, rng.normal(size=(4, 4))) + 3, points(400, 2, rng.normal(size=(4, 4)))
    aligned = coral(source, target, 1e-9)
    assert np.allclose(np.cov(aligned, rowvar=False), np.cov(target, rowvar=False), atol=1e-6)
    assert np.allclose(aligned.mean(axis=0), target.mean(axis=0))


@pytest.mark.parametrize("ridge", [1e-6, 0.1, 1.0])
def test_equal_distributions_are_left_as_they_are(ridge: float) -> None:
    source = points(300, 3)
    assert np.allclose(coral(source, source, ridge), source, atol=1e-6)


def test_a_task_behind_a_linear_shift_is_solved_again() -> None:
    """Source inputs are stretched and moved: a model of the source fails on the target until they are aligned."""
    from sklearn.linear_model import LogisticRegression

    target, stretched = points(600, 4), points(600, 5)
    y_true, said = target[:, 0] > 0, stretched[:, 0] > 0
    source = stretched * np.array([0.1, 5.0, 1.0, 1.0]) + np.array([4.0, 0, 0, 0])
    plain = LogisticRegression(max_iter=5000).fit(source, said).score(target, y_true)
    aligned = LogisticRegression(max_iter=5000).fit(coral(source, target, 1e-6), said).score(target, y_true)
    assert aligned > 0.95 > 0.7 > plain


def test_a_source_that_is_the_target_gives_the_plain_probe(kinds, tiny: Path, tmp_path: Path) -> None:
    data = {**kinds["single-label"], "plays/train": kinds["single-label"]["train"]}
    aligned = method("coral", source_tasks=["plays"], target_labels=False)
    assert aligned.alone() == method("probe")
    out, figures = build(aligned, data, tmp_path / "coral", tiny)
    plain, _ = build(method("probe"), data, tmp_path / "probe", tiny)
    one, two = read_tensors(out), read_tensors(plain)
    assert all(torch.allclose(one[name], two[name], atol=2e-3) for name in one)
    assert figures["borrowed"] > 0
    assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.7
