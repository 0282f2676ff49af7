"""Laws of TrAdaBoost."""

from __future__ import annotations

import numpy as np
import pytest

from transferline.methods.instance.tradaboost import boost, linear


def blobs(rows: int, seed: int, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping classes; a share of the labels is flipped."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 2, rows)
    points = rng.normal(size=(rows, 4)) + 1.2 * y_true[:, None]
    return points, np.where(rng.random(rows) < flipped, 1 - y_true, y_true)


def stump() -> object:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=1, random_state=0)


NOTHING = np.zeros((0, 4)), np.zeros(0, dtype=int)


def test_without_a_source_it_is_adaboost() -> None:
    """The errors of all rounds are those of scikit-learn's AdaBoost."""
    from sklearn.ensemble import AdaBoostClassifier

    points, y_true = blobs(200, 0)
    ours = boost(NOTHING, (points, y_true), 12, stump)
    theirs = AdaBoostClassifier(stump(), n_estimators=12, random_state=0).fit(points, y_true)
    assert ours.errors == pytest.approx(list(theirs.estimator_errors_), abs=1e-9)
    assert len(ours.source_weights) == 0


def test_flipped_source_labels_end_with_next_to_no_weight() -> None:
    source, target = blobs(600, 1), blobs(150, 2)
    honest = boost(source, target, 20, lambda: linear(1.0)).source_weights
    lying = boost((source[0], 1 - source[1]), target, 20, lambda: linear(1.0)).source_weights
    assert np.median(lying) < 1e-3
    assert np.median(honest) == pytest.approx(1.0)


def test_the_flipped_ones_among_honest_source_examples_are_found() -> None:
    points, y_true = blobs(600, 3)
    flipped = np.arange(600) % 5 == 0
    made = boost((points, np.where(flipped, 1 - y_true, y_true)), blobs(150, 4), 20, lambda: linear(1.0))
    assert np.median(made.source_weights[flipped]) < 0.05 < np.median(made.source_weights[~flipped])


def test_a_good_source_helps_a_small_target_and_a_bad_one_is_mostly_undone() -> None:
    tests = blobs(4000, 9)
    small, source = blobs(16, 5), blobs(1500, 6)

    def accuracy(source: tuple[np.ndarray, np.ndarray]) -> float:
        return float((boost(source, small, 20, lambda: linear(1.0)).predict(tests[0]) == tests[1]).mean())

    alone = accuracy(NOTHING)
    assert accuracy(source) > alone
    lying = source[0], 1 - source[1]
    together = np.concatenate([lying[0], small[0]]), np.concatenate([lying[1], small[1]])
    pooled = float((linear(1.0).fit(*together).predict(tests[0]) == tests[1]).mean())
    assert pooled < 0.3 < 0.65 < accuracy(lying)


def test_three_labels() -> None:
    rng = np.random.default_rng(7)
    y_true = rng.integers(0, 3, 400)
    points = rng.normal(size=(400, 3)) + 4 * np.eye(3)[y_true]
    made = boost((points[:300], y_true[:300]), (points[300:], y_true[300:]), 10, lambda: linear(1.0))
    assert (made.predict(points) == y_true).mean() > 0.75
