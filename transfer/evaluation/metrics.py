"""Metrics of a classifier, and how well its probabilities can be believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from transfer.evaluation.predict import Predictions

Metric = Literal["accuracy", "macro_f1"]
CALIBRATION_BINS = 15  # as in Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4


def accuracy(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """Share of hits over the last axis; any leading axes are kept."""
    return (truth == predicted).mean(axis=-1)


def macro_f1(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """Mean over labels of F1 = 2 TP / (truth + predicted), over the last axis; 0 where a label is in neither.

    Equal to scikit-learn's `f1_score(average="macro", labels=range(labels), zero_division=0)`, for many resamples
    at once.
    """
    scores = []
    for label in range(labels):
        is_label, says_label = truth == label, predicted == label
        hits = (is_label & says_label).sum(axis=-1)
        total = is_label.sum(axis=-1) + says_label.sum(axis=-1)
        scores.append(np.where(total > 0, 2 * hits / np.maximum(total, 1), 0.0))
    return np.mean(scores, axis=0)


METRICS: dict[Metric, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
}


def per_class(predictions: Predictions) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each label."""
    from sklearn.metrics import precision_recall_fscore_support

    numbers = range(len(predictions.labels))
    parts = precision_recall_fscore_support(predictions.truth, predictions.predicted, labels=numbers, zero_division=0)
    names = ("precision", "recall", "f1", "support")
    return {
        label: {n: float(p[i]) for n, p in zip(names, parts, strict=True)} for i, label in enumerate(predictions.labels)
    }


def confusion(predictions: Predictions) -> np.ndarray:
    """Counts, shape (labels, labels): truth in rows, predicted in columns."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(predictions.truth, predictions.predicted, labels=range(len(predictions.labels)))


def calibration_error(predictions: Predictions) -> float:
    """Expected calibration error (Naeini et al. 2015): mean gap between confidence and accuracy over 15 bins."""
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    return float(
        multiclass_calibration_error(
            torch.tensor(predictions.probabilities, dtype=torch.float32),
            torch.tensor(predictions.truth),
            num_classes=len(predictions.labels),
            n_bins=CALIBRATION_BINS,
        )
    )
