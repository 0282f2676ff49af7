"""p values, intervals and tests of equivalence that cannot contradict each other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tournament.made import says
from transferline.evaluation.significance import Interval
from transferline.tournament.statistics import Difference, Scores, holm, improvement

EASE = np.random.default_rng(0).normal(0.5, 1, 500)


def scores(**skills: float) -> Scores:
    rng = np.random.default_rng(1)
    return Scores("accuracy", {name: [says(rng, EASE, skill) for _ in range(3)] for name, skill in skills.items()})


def difference(value: float, examples: float = 0.01, seeds: float = 0.005, count: int = 3) -> Difference:
    return Difference(Interval(value, value, value), examples, seeds, count)


def test_a_group_against_itself_is_a_tie_for_certain() -> None:
    same = scores(a=0.2)
    made = same.difference("a", "a")
    assert (made.value, made.p) == (0.0, 1.0)
    assert 0 < made.detectable < 0.02


def test_p_is_the_level_at_which_the_interval_reaches_zero() -> None:
    made = difference(0.05)
    level = made.p
    assert made.level(0.05) == pytest.approx(level)
    half = difference(0.0).level(0.05)
    assert half == pytest.approx(level)
    assert difference(0.06).p < level < difference(0.04).p


def test_fewer_seeds_make_a_difference_less_certain() -> None:
    assert difference(0.05, seeds=0.02, count=9).p < difference(0.05, seeds=0.02, count=3).p


def test_non_inferiority_within_a_margin() -> None:
    """Far above the margin it is sure, at the margin it is a coin's throw, below it is refused."""
    assert difference(0.05).p_not_below(0.02) < 0.05
    assert difference(-0.02).p_not_below(0.02) == pytest.approx(0.5)
    assert difference(-0.1).p_not_below(0.02) > 0.95


def test_holm_multiplies_the_smallest_by_the_number_of_comparisons() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.5}) == pytest.approx({"a": 0.03, "b": 0.08, "c": 0.5})
    assert holm({}) == {}


def test_improvement_is_the_share_of_pairs_of_runs() -> None:
    assert improvement(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert improvement(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.5
    assert improvement(np.array([1.0]), np.array([0.0, 2.0])) == 0.5


def test_one_model_may_stand_beside_several_seeds() -> None:
    rng = np.random.default_rng(1)
    several = Scores("accuracy", {"a": [says(rng, EASE, 1.0) for _ in range(3)], "b": [says(rng, EASE, -0.5)]})
    made = several.difference("a", "b")
    assert made.interval.low > 0
    assert made.seeds == 3


def test_the_draws_of_a_better_group_are_better_nearly_always() -> None:
    drawn = scores(a=0.8, b=0.0).draws(["a", "b"])
    assert (drawn["a"] > drawn["b"]).mean() > 0.99


def test_other_examples_are_refused() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="same examples"):
        _ = Scores("accuracy", {"a": [says(rng, EASE, 0.0)], "b": [says(rng, EASE[:400], 0.0)]}).drawn
