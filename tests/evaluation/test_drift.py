"""Proxy A-distance and its alarm, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from transferline.evaluation.drift import measure_drift, proxy_a_distance


def sample(seed: int, shift: float, size: int = 200, width: int = 16) -> np.ndarray:
    features = np.random.default_rng(seed).normal(size=(size, width))
    features[:, 0] += shift
    return features


def test_one_distribution_is_no_distance_and_two_far_ones_are_two() -> None:
    near, _ = proxy_a_distance(sample(0, 0), sample(1, 0))
    far, chance = proxy_a_distance(sample(0, 0), sample(1, 20))
    assert near < 0.35
    assert far > 1.95
    assert chance < 1e-6


def test_the_distance_is_that_of_the_best_linear_classifier() -> None:
    """Two unit normals d apart: the error of the best classifier is the normal's tail beyond d / 2."""
    from scipy.stats import norm

    shift = 2.0
    y_true = 2 * (1 - 2 * norm.sf(shift / 2))
    found, _ = proxy_a_distance(sample(0, 0, 2000, 4), sample(1, shift, 2000, 4))
    assert found == pytest.approx(y_true, abs=0.1)


def test_the_distance_grows_with_the_shift() -> None:
    distances = [proxy_a_distance(sample(0, 0), sample(1, shift))[0] for shift in (0.5, 1.5, 3.0)]
    assert distances == sorted(distances)


def test_false_alarms_stay_within_their_odds() -> None:
    """60 pairs from one distribution: a threshold of almost nothing, so that chance alone decides."""
    alarms = sum(proxy_a_distance(sample(2 * i, 0, 60), sample(2 * i + 1, 0, 60))[1] < 0.001 for i in range(60))
    assert alarms <= 1


def test_vocabulary_and_labels_are_told_beside_it() -> None:
    words = ["the film was warm", "a dull plot"] * 30
    same = measure_drift(words, words, (sample(0, 0, 60), sample(1, 0, 60)), (np.array([30, 30]), np.array([30, 30])))
    other = measure_drift(
        words, ["gene kinase"] * 60, (sample(0, 0, 60), sample(1, 9, 60)), (np.array([30, 30]), np.array([60, 0]))
    )
    assert same.vocabulary == same.unseen == same.label_shift == 0
    assert same.label_chance == 1
    assert not same.alarm(0.5)
    assert other.vocabulary == pytest.approx(1)
    assert other.unseen == 1
    assert other.label_chance < 1e-6
    assert other.alarm(0.5)
