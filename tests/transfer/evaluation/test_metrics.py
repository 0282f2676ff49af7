from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from transfer.evaluation.metrics import accuracy, calibration_error, confusion, macro_f1, per_class
from transfer.evaluation.predictions import Predictions


def predictions(truth: np.ndarray, probabilities: np.ndarray) -> Predictions:
    labels = tuple(f"label {i}" for i in range(probabilities.shape[1]))
    return Predictions(tuple(f"{i:x}" for i in range(len(truth))), labels, truth, probabilities)


@pytest.mark.parametrize("labels", [2, 3, 9])
def test_metrics_are_scikit_learns(labels: int) -> None:
    rng = np.random.default_rng(labels)
    truth, said = rng.integers(0, labels, (2, 20, 50))
    for i in range(20):
        expected = f1_score(truth[i], said[i], average="macro", labels=range(labels), zero_division=0)
        assert macro_f1(truth, said, labels)[i] == pytest.approx(expected)
        assert accuracy(truth, said, labels)[i] == accuracy_score(truth[i], said[i])


def test_a_label_that_nobody_has_counts_as_zero() -> None:
    truth, said = np.array([0, 0]), np.array([0, 0])
    assert macro_f1(truth, said, 2) == pytest.approx(0.5)


def test_confusion_counts_everything_once() -> None:
    rng = np.random.default_rng(0)
    made = predictions(rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60))
    assert confusion(made).sum() == 60
    assert sum(figures["support"] for figures in per_class(made).values()) == 60


def test_a_calibrated_model_has_a_small_error_and_an_overconfident_one_its_overconfidence() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 40_000)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    honest = (rng.uniform(size=40_000) > confidence).astype(int)
    assert calibration_error(predictions(honest, probabilities)) < 0.01
    sure = np.tile([0.9, 0.1], (40_000, 1))
    half_right = (rng.uniform(size=40_000) > 0.6).astype(int)
    assert calibration_error(predictions(half_right, sure)) == pytest.approx(0.3, abs=0.01)
