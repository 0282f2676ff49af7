from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from transferline.evaluation.calibration import calibration_error
from transferline.evaluation.metrics import confusion, measure, per_class
from transferline.evaluation.predictions import ManyLabels, Predictions


def predictions(y_true: np.ndarray, probabilities: np.ndarray) -> Predictions:
    labels = tuple(f"label {i}" for i in range(probabilities.shape[1]))
    return Predictions(tuple(f"{i:x}" for i in range(len(y_true))), labels, y_true, probabilities)


@pytest.mark.parametrize("labels", [2, 3, 9])
def test_metrics_are_scikit_learns(labels: int) -> None:
    rng = np.random.default_rng(labels)
    for _ in range(20):
        made = predictions(rng.integers(0, labels, 50), np.eye(labels)[rng.integers(0, labels, 50)])
        expected = f1_score(made.y_true, made.predicted, average="macro", labels=range(labels), zero_division=0)
        assert measure("macro_f1", made) == pytest.approx(expected)
        assert measure("accuracy", made) == accuracy_score(made.y_true, made.predicted)


def test_a_label_that_nobody_has_counts_as_zero() -> None:
    made = predictions(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert measure("macro_f1", made) == pytest.approx(0.5)


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


@pytest.mark.parametrize("labels", [2, 5])
def test_the_calibration_error_is_torchmetrics(labels: int) -> None:
    import torch
    from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

    rng = np.random.default_rng(labels)
    made = predictions(rng.integers(0, labels, 500), rng.dirichlet(np.ones(labels), 500))
    said = torch.tensor(made.outputs)
    expected = multiclass_calibration_error(said, torch.tensor(made.y_true), num_classes=labels, n_bins=15)
    assert calibration_error(made) == pytest.approx(float(expected))
    cells = ManyLabels(made.ids, made.labels, rng.uniform(size=(500, labels)) < made.outputs, made.outputs)
    expected = binary_calibration_error(said.ravel(), torch.tensor(cells.y_true).int().ravel(), n_bins=15)
    assert calibration_error(cells) == pytest.approx(float(expected))


def test_probabilities_of_one_are_in_the_highest_bin() -> None:
    made = predictions(np.array([0, 0, 1, 1]), np.array([[1.0, 0.0]] * 4))
    assert calibration_error(made) == pytest.approx(0.5)
