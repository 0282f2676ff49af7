"""Ratios of labels that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tournament.made import says
from transferline.tournament.curves import group, label_ratio, labels_needed, slope
from transferline.tournament.statistics import Scores

BUDGETS = (10, 100, 1000)


def test_labels_are_read_off_on_a_log_scale() -> None:
    curve = np.array([0.5, 0.7, 0.9])
    assert labels_needed(BUDGETS, curve, 0.7) == pytest.approx(100)
    assert labels_needed(BUDGETS, curve, 0.8) == pytest.approx(10**2.5)
    assert labels_needed(BUDGETS, curve, 0.4) == 10
    assert labels_needed(BUDGETS, curve, 0.95) == float("inf")


def test_a_dent_in_a_curve_does_not_save_labels() -> None:
    assert labels_needed(BUDGETS, np.array([0.6, 0.5, 0.9]), 0.55) == pytest.approx(10, rel=0.01)
    assert labels_needed(BUDGETS, np.array([0.8, 0.5, 0.9]), 0.7) > 100


def test_a_method_that_is_one_budget_ahead_needs_ten_times_fewer_labels() -> None:
    """Its model of 100 labels is as skilled as the other's of 1000."""
    rng = np.random.default_rng(0)
    ease = rng.normal(0.5, 1, 2000)
    skills = {"ahead": (-1.0, 0.0, 1.0), "behind": (-2.0, -1.0, 0.0)}
    models = {
        group(name, budget): [says(rng, ease, skill) for _ in range(3)]
        for name, steps in skills.items()
        for budget, skill in zip(BUDGETS, steps, strict=True)
    }
    scores = Scores("accuracy", models)
    ratio = label_ratio("ahead", "behind", BUDGETS, scores)
    assert ratio.low < 10 < ratio.high
    assert 6 < ratio.value < 16
    assert not ratio.capped
    behind = label_ratio("behind", "ahead", BUDGETS, scores)
    assert behind.value < 1
    assert "no labels saved" in str(behind)
    ahead = label_ratio("ahead", "behind", (100, 1000), scores)
    assert "fewer labels" in str(ahead)


def test_a_curve_that_begins_above_is_a_lower_bound() -> None:
    rng = np.random.default_rng(0)
    ease = rng.normal(0.5, 1, 1000)
    models = {group("best", b): [says(rng, ease, 1.5)] for b in BUDGETS} | {
        group("poor", 1000): [says(rng, ease, -1.0)]
    }
    ratio = label_ratio("best", "poor", BUDGETS, Scores("accuracy", models))
    assert (ratio.capped, ratio.value) == (True, pytest.approx(100))
    assert str(ratio).startswith("at least 100.0x fewer")


def test_the_slope_tells_labels_from_adaptation() -> None:
    rng = np.random.default_rng(0)
    ease = rng.normal(0.5, 1, 1500)
    skills = {group("plain", 100): 0.0, group("plain", 1000): 1.0, group("adapted", 1000): 1.02}
    scores = Scores("accuracy", {name: [says(rng, ease, skill) for _ in range(3)] for name, skill in skills.items()})
    made = slope("plain", ("adapted", "plain"), (100, 1000), scores)
    assert made is not None
    assert made.doubling.low > 0
    assert made.adaptation is not None
    assert made.adaptation.low < made.doubling.value
    assert made.labels_win is not None
    assert made.labels_win > 0.9
    assert slope("plain", None, (1000,), scores) is None
