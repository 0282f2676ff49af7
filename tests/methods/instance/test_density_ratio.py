"""Laws of density-ratio weighting."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from transferline.methods.instance.density_ratio import Estimator, density_ratio

ESTIMATORS = get_args(Estimator)


def shifted(rows: int, by: float, seed: int, width: int = 2) -> np.ndarray:
    """Standard normal points, the first coordinate moved."""
    points = np.random.default_rng(seed).normal(size=(rows, width))
    points[:, 0] += by
    return points


def test_identical_domains_give_unit_weights() -> None:
    assert np.array_equal(density_ratio(shifted(1500, 0.0, 1, 16), shifted(600, 0.0, 2, 16)), np.ones(1500))


@pytest.mark.parametrize("estimator", ["classifier", "gaussian"])
def test_a_known_shift_gives_the_known_ratio(estimator: Estimator) -> None:
    """Unit normals half a unit apart: the logarithm of the ratio is 0.5 x - 0.125."""
    source, target = shifted(4000, 0.0, 3), shifted(2000, 0.5, 4)
    ratio = density_ratio(source, target, estimator)
    slope, _ = np.polyfit(source[:, 0], np.log(ratio), 1)
    assert slope == pytest.approx(0.5, abs=0.08)
    assert ratio.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_points_the_same_way(estimator: Estimator) -> None:
    """What is likelier in the target weighs more, by each estimator."""
    source, target = shifted(600, 0.0, 5), shifted(400, 0.8, 6)
    ratio = density_ratio(source, target, estimator)
    true = np.exp(0.8 * source[:, 0])
    assert (ratio >= 0).all()
    assert np.corrcoef(np.argsort(np.argsort(ratio)), np.argsort(np.argsort(true)))[0, 1] > 0.25


def test_weighting_undoes_a_covariate_shift() -> None:
    """The weighted mean of the source is the target's mean."""
    source, target = shifted(5000, 0.0, 7), shifted(5000, 0.7, 8)
    ratio = density_ratio(source, target)
    assert np.average(source[:, 0], weights=ratio) == pytest.approx(0.7, abs=0.12)


@pytest.mark.parametrize("width", [2, 8, 16])
@pytest.mark.parametrize("estimator", ["classifier", "gaussian", "kmm"])
def test_the_ratio_correlates_with_the_true_one_in_many_dimensions(estimator: Estimator, width: int) -> None:
    """Unit normals 0.8 apart: the true ratio is exp(0.8 x - 0.32)."""
    source, target = shifted(600, 0.0, 5, width), shifted(400, 0.8, 6, width)
    true = np.exp(0.8 * source[:, 0] - 0.32)
    assert np.corrcoef(density_ratio(source, target, estimator), true)[0, 1] > 0.8


@pytest.mark.parametrize("estimator", ["gaussian", "kmm"])
def test_a_narrower_domain_gives_the_known_ratio(estimator: Estimator) -> None:
    """A target with half the standard deviation: the true ratio falls with the distance from the centre."""
    source, target = shifted(600, 0.0, 9), 0.5 * shifted(400, 0.0, 10)
    true = np.exp(-1.5 * (source**2).sum(axis=1))
    assert np.corrcoef(density_ratio(source, target, estimator), true)[0, 1] > 0.8
