"""Statistics whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import compare, mcnemar, score

IDS = tuple(f"{i:x}" for i in range(400))


def model(right: np.ndarray, y_true: np.ndarray | None = None) -> Predictions:
    """A model of two labels that is right where `right` says so."""
    y_true = np.arange(len(right)) % 2 if y_true is None else y_true
    said = np.where(right, y_true, 1 - y_true)
    return Predictions(IDS[: len(right)], ("a", "b"), y_true, np.stack([said == 0, said == 1], axis=1).astype(float))


def coin(p: float, seed: int, n: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=n) < p


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_a_model_against_itself_differs_by_nothing_and_fewer_rows_prove_less(metric: str) -> None:
    widths = []
    for rows in (2, 10, 100, 400):
        one = [model(coin(0.8, s, rows)) for s in range(3)]
        same = compare(metric, "itself", one, one, (0, 0))
        assert same.difference.value == 0
        assert same.difference.low == pytest.approx(-same.difference.high)
        assert (same.wins, same.losses, same.mcnemar_p) == (0, 0, 1.0)
        widths.append(same.difference.high)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.5, "two rows prove nothing"
    assert widths[-1] < 0.01


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("rows", range(1, 6))
def test_so_few_rows_prove_nothing_even_if_all_are_won(rows: int, metric: str) -> None:
    y_true = np.arange(rows) % 2
    won = compare(metric, "x", [model(np.ones(rows, bool), y_true)], [model(np.zeros(rows, bool), y_true)], (0, 0))
    if metric == "accuracy":
        assert won.difference.low <= 0 < won.difference.value
    else:
        assert won.difference.low < won.difference.value


def test_the_difference_is_the_difference_of_the_scores_and_changes_sign_with_the_sides() -> None:
    one, two = [model(coin(0.9, 0))], [model(coin(0.7, 1))]
    there, back = compare("accuracy", "x", one, two, (0, 0)), compare("accuracy", "x", two, one, (0, 0))
    expected = score("accuracy", one).value - score("accuracy", two).value
    assert there.difference.value == pytest.approx(expected)
    assert back.difference.low == pytest.approx(-there.difference.high)
    assert (there.wins, there.losses) == (back.losses, back.wins)


def test_a_large_difference_is_found_and_none_is_not_invented() -> None:
    assert compare("accuracy", "x", [model(coin(0.9, 0))], [model(coin(0.6, 1))], (0, 0)).difference.low > 0.2
    equal = compare("accuracy", "x", [model(coin(0.8, 2))], [model(coin(0.8, 3))], (0, 0)).difference
    assert equal.low < 0 < equal.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        interval = score("accuracy", [model(coin(0.75, seed))], seed)
        covered += interval.low <= 0.75 <= interval.high
    assert covered >= 50  # 95 % of 60 is 57; below 50 has a probability under 1e-3


def test_pairing_takes_away_the_difficulty_of_the_examples() -> None:
    """Two models that fail on the same hard half, one of them a little more often."""
    hard = np.arange(400) < 200
    worse = ~hard | (np.arange(400) % 5 == 0)
    better = worse | (np.arange(400) % 25 == 1)
    paired = compare("accuracy", "x", [model(better)], [model(worse)], (0, 0)).difference
    alone = score("accuracy", [model(better)])
    assert paired.low > 0
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_seeds_that_differ_widen_the_interval() -> None:
    steady = [model(coin(0.8, 0))] * 3
    shaky = [model(coin(p, 0)) for p in (0.6, 0.8, 1.0)]
    one, two = score("accuracy", steady), score("accuracy", shaky)
    assert two.high - two.low > 2 * (one.high - one.low)


def test_one_model_may_stand_beside_several_seeds() -> None:
    made = compare("accuracy", "x", [model(coin(0.9, s)) for s in range(3)], [model(coin(0.6, 9))], (1, 0))
    assert made.difference.low > 0.1


def test_other_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="not scored on the same examples"):
        compare("accuracy", "x", [model(coin(0.9, 0))], [model(coin(0.9, 0, n=300))], (0, 0))


@pytest.mark.parametrize(("wins", "losses"), [(3, 9), (0, 6), (12, 12)])
def test_mcnemar_of_few_pairs_is_the_exact_binomial_test(wins: int, losses: int) -> None:
    assert mcnemar(wins, losses) == pytest.approx(binomtest(wins, wins + losses).pvalue)


def test_the_same_question_gets_the_same_answer() -> None:
    group = [model(coin(0.8, s)) for s in range(3)]
    assert score("macro_f1", group) == score("macro_f1", group)
