"""A source with swapped labels is found, and one with right or useless labels is not."""

from __future__ import annotations

import numpy as np
import pytest

from transferline.diagnosis.swapped_labels import swapped_labels

LABELS = ("negative", "neutral", "positive")


def predictions(accuracy: float, seed: int, rows: int = 200, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that are right with this chance, and labels, of which the first is twice as frequent."""
    rng = np.random.default_rng(seed)
    shares = np.r_[2, np.ones(count - 1)] / (count + 1)
    y_true = rng.choice(count, rows, p=shares)
    wrong = (y_true + rng.integers(1, count, rows)) % count
    return np.where(rng.random(rows) < accuracy, y_true, wrong), y_true


@pytest.mark.parametrize("seed", range(5))
def test_reversed_labels_are_named(seed: int) -> None:
    predicted, y_true = predictions(0.7, seed)
    names = ("negative", "positive")
    assert swapped_labels(1 - predicted, y_true, names) == {"negative": "positive", "positive": "negative"}
    assert swapped_labels(predicted, y_true, names) == {}


def test_two_of_three_labels_swapped_are_named_and_the_third_is_not() -> None:
    predicted, y_true = predictions(0.7, 0, count=3)
    swapped = np.array([0, 2, 1])[predicted]
    assert swapped_labels(swapped, y_true, LABELS) == {"neutral": "positive", "positive": "neutral"}


def test_a_source_that_knows_nothing_is_not_called_swapped() -> None:
    """At most one of 300 sources with predictions by chance: the level is one in a thousand."""
    rng = np.random.default_rng(0)
    found = [swapped_labels(rng.integers(0, 2, 200), rng.integers(0, 2, 200), ("a", "b")) for _ in range(300)]
    assert sum(map(bool, found)) <= 1


def test_one_constant_prediction_is_not_called_swapped() -> None:
    y_true = np.repeat([0, 1], [30, 170])
    assert swapped_labels(np.zeros(200, dtype=int), y_true, ("a", "b")) == {}
