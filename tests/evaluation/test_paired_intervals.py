"""Intervals of paired differences: a published answer, the equation that defines them, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from transferline.evaluation.paired_intervals import (
    bonett_price,
    least_distance,
    normal_quantile,
    paired_interval,
    tango,
)


def test_a_published_example() -> None:
    """Fagerland, Lydersen & Laake (2014), "Recommended tests and confidence intervals for paired binomial proportions", section 8.

    21 children, 1 and 7 of them discordant: Tango's interval is -0.517 to -0.026.
    """
    assert tango(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


def log_likelihood(lost_share: float, won: int, lost: int, rows: int, difference: float) -> float:
    won_share = lost_share + difference
    rest = 1 - won_share - lost_share
    shares, counts = np.array([won_share, lost_share, rest]), np.array([won, lost, rows - won - lost])
    return float((counts * np.log(np.maximum(shares, 1e-300))).sum())


@pytest.mark.parametrize(("won", "lost", "rows"), [(7, 1, 21), (40, 25, 200), (3, 30, 90), (569, 299, 2084)])
def test_at_its_limits_the_score_statistic_is_the_normal_quantile(won: int, lost: int, rows: int) -> None:
    """The statistic is worked out from its definition, with the likeliest share of lost rows found by search."""
    for limit in tango(won, lost, rows):
        found = minimize_scalar(
            lambda q, limit=limit: -log_likelihood(q, won, lost, rows, limit),
            bounds=(max(0.0, -limit), (1 - limit) / 2),
            method="bounded",
            options={"xatol": 1e-10},
        )
        variance = (2 * found.x + limit - limit**2) / rows
        distance = (won - lost) / rows - limit
        assert abs(distance) / np.sqrt(variance) == pytest.approx(normal_quantile(), abs=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 10, 200, 5000])
def test_where_no_row_differs_the_interval_has_a_width(rows: int) -> None:
    """Score test of no discordant row: z^2 / (n + z^2)."""
    low, high = paired_interval(np.zeros(rows))
    z2 = normal_quantile() ** 2
    assert (low, high) == pytest.approx((-z2 / (rows + z2), z2 / (rows + z2)))
    assert bonett_price(np.zeros(rows))[1] == pytest.approx(least_distance(rows), rel=1e-6)


def test_swapping_the_sides_mirrors_the_interval() -> None:
    rng = np.random.default_rng(0)
    for differences in (rng.integers(-1, 2, 40).astype(float), rng.uniform(-1, 1, 40), np.r_[np.ones(3), np.zeros(9)]):
        low, high = paired_interval(differences)
        assert paired_interval(-differences) == pytest.approx((-high, -low))
        assert low <= differences.mean() <= high


def test_fewer_than_six_rows_that_differ_never_prove_a_difference() -> None:
    """The sign test needs six rows on one side for p below 0.05."""
    for won in range(1, 9):
        low, _ = paired_interval(np.r_[np.ones(won), np.zeros(50)])
        assert (low > 0) == (won >= 6)


@pytest.mark.parametrize("rows", [20, 100, 500])
@pytest.mark.parametrize(("won", "lost"), [(0.15, 0.05), (0.02, 0.02), (0.12, 0.10), (0.4, 0.3)])
@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_cover_the_true_difference(rows: int, won: float, lost: float, seeds: int) -> None:
    rng = np.random.default_rng([rows, seeds])
    covered = 0
    for _ in range(400):
        # rows are hard or easy for all seeds alike, so seeds agree on most rows
        base = rng.uniform(size=rows)
        each = [np.where(rng.random(rows) < 0.8, base, rng.uniform(size=rows)) for _ in range(seeds)]
        differences = np.mean([np.where(u < won, 1.0, np.where(u > 1 - lost, -1.0, 0.0)) for u in each], axis=0)
        low, high = paired_interval(differences)
        covered += low <= won - lost <= high
    assert covered / 400 > 0.92  # 0.95 less three standard errors
