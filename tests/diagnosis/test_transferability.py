"""Laws of transferability scores, affinities and divergences."""

from __future__ import annotations

import numpy as np
import pytest

from transferline.diagnosis.affinity import affinities
from transferline.diagnosis.divergence import measure_divergence, mmd_test, overlap, words_of
from transferline.diagnosis.transferability import expected_prediction, h_score, leep, logme

RNG = np.random.default_rng(0)


def layers(rows: int = 300, width: int = 12) -> list[np.ndarray]:
    """Three "layers": random, the one that makes the labels, and a noisy copy of it."""
    made = [np.random.default_rng(seed).normal(size=(rows, width)) for seed in range(2)]
    return [made[0], made[1], made[1] + 2 * np.random.default_rng(5).normal(size=(rows, width))]


class TestLogME:
    def test_the_layer_that_generated_the_labels_comes_first(self) -> None:
        weights = np.random.default_rng(7).normal(size=12)
        labels = (layers()[1] @ weights > 0).astype(int)
        scores = [logme(layer, labels, 2) for layer in layers()]
        assert np.argmax(scores) == 1
        assert scores[2] > scores[0]
        numbers = layers()[1] @ weights
        assert np.argmax([logme(layer, numbers) for layer in layers()]) == 1

    def test_it_is_the_evidence_that_scikit_learn_finds(self) -> None:
        """scikit-learn's Bayesian ridge maximises the same evidence; its priors on the precisions are made next to nothing."""
        from sklearn.linear_model import BayesianRidge

        points = np.random.default_rng(1).normal(size=(200, 6))
        numbers = points @ np.array([1.0, -1, 0.5, 0, 0, 2]) + 0.5 * np.random.default_rng(2).normal(size=200)
        points, numbers = points - points.mean(axis=0), numbers - numbers.mean()
        theirs = BayesianRidge(
            compute_score=True, fit_intercept=False, alpha_1=1e-12, alpha_2=1e-12, lambda_1=1e-12, lambda_2=1e-12
        ).fit(points, numbers)
        assert logme(points, numbers) == pytest.approx(theirs.scores_[-1] / 200, abs=1e-3)

    def test_features_that_are_all_alike_leave_the_evidence_of_the_labels(self) -> None:
        """A normal of the labels' own variance: -(log(2 pi v) + 1) / 2; and no share of it lies between classes."""
        labels = np.arange(100) % 2
        alike = np.full((100, 8), 0.3)
        assert logme(alike, labels, 2) == pytest.approx(-0.5 * (np.log(2 * np.pi * 0.25) + 1))
        assert h_score(alike, labels) == 0.0

    def test_more_columns_than_rows(self) -> None:
        points = np.random.default_rng(3).normal(size=(40, 100))
        assert np.isfinite(logme(points, np.arange(40) % 2, 2))


def test_h_score_is_the_share_of_variance_between_classes() -> None:
    """Two classes apart in one of two independent directions: trace(cov^-1 between) = d^2 / (1 + d^2), d half the distance."""
    labels = np.arange(4000) % 2
    points = np.random.default_rng(4).normal(size=(4000, 2))
    points[:, 0] += np.where(labels == 1, 1.5, -1.5)
    assert h_score(points, labels) == pytest.approx(1.5**2 / (1 + 1.5**2), abs=0.02)
    assert h_score(np.random.default_rng(5).normal(size=(4000, 2)), labels) < 0.01
    wide = np.random.default_rng(6).normal(size=(100, 300))  # nothing to learn, in more columns than rows
    assert h_score(wide, labels[:100]) < 0.2


class TestLeep:
    def test_a_source_that_knows_the_labels_scores_nought_and_none_scores_their_entropy(self) -> None:
        labels = np.arange(300) % 3
        knows = np.eye(3)[(labels + 1) % 3]  # under other names
        assert leep(knows, labels) == pytest.approx(0.0, abs=1e-9)
        blank = np.full((300, 4), 0.25)
        assert leep(blank, labels) == pytest.approx(np.log(1 / 3), abs=1e-9)
        assert np.allclose(expected_prediction(blank, labels), 1 / 3)


class TestAffinity:
    def test_equal_sources_share_equally_and_the_better_one_has_more(self) -> None:
        rng = np.random.default_rng(6)
        base = rng.random(500)
        assert np.allclose(affinities([base, base, base]), 1 / 3)
        better = affinities([np.minimum(1, base + 0.2), base, base - 0.2])
        assert better[0] > better[1] > better[2]
        assert better.sum() == pytest.approx(1.0)


class TestDivergence:
    def test_identical_domains_lie_next_to_each_other(self) -> None:
        texts = [f"word{i % 7} and word{i % 5}" for i in range(200)]
        points = RNG.normal(size=(400, 8))
        far = measure_divergence(texts, texts, (points[:200], points[200:]))
        assert far.vocabulary == 1.0
        assert far.unseen == 0.0
        assert far.distance < 0.4
        assert far.chance > 0.001
        assert abs(far.mmd) < 0.01
        assert far.mmd_chance > 0.01

    def test_a_shift_is_seen_by_every_measure(self) -> None:
        points = RNG.normal(size=(400, 8))
        points[200:, 0] += 3
        far = measure_divergence(["good film"] * 200, ["bad play"] * 200, (points[:200], points[200:]))
        assert far.vocabulary == 0.0
        assert far.unseen == 1.0
        assert far.distance > 1.5
        assert far.mmd > 0.1
        assert far.mmd_chance < 0.01

    def test_mmd_is_wrong_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(8)
        wrong = sum(mmd_test(rng.normal(size=(40, 3)), rng.normal(size=(40, 3)))[1] < 0.05 for _ in range(100))
        assert wrong <= 12

    def test_overlap_counts_frequent_words(self) -> None:
        assert overlap(words_of(["a b c"]), words_of(["c d a"])) == pytest.approx(2 / 3)
