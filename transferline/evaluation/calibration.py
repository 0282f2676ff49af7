"""Calibration of predicted probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transferline.evaluation.predictions import Predictions

BINS = 15  # as in Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4
_HAVE_PROBABILITIES = ("single-label", "multi-label")


@dataclass(frozen=True)
class Reliability:
    """The non-empty bins of a reliability diagram: mean confidence, accuracy and share of the answers, each (bins,)."""

    confidence: np.ndarray
    accuracy: np.ndarray
    share: np.ndarray


def reliability_bins(made: Predictions) -> Reliability:
    """Group answers into 15 equally wide bins of confidence. Of several labels, every (row, label) cell is an answer."""
    if made.kind == "multi-label":
        confidence, right = made.outputs.ravel(), made.y_true.ravel().astype(float)
    else:
        confidence, right = made.outputs.max(axis=1), made.quality
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    means = [
        np.bincount(bins, weights=values, minlength=BINS)[filled] / counts[filled] for values in (confidence, right)
    ]
    return Reliability(means[0], means[1], counts[filled] / len(confidence))


def calibration_error(made: Predictions) -> float | None:
    """Expected calibration error (Naeini et al. 2015): mean gap between confidence and accuracy over 15 bins.

    None for kinds of target without probabilities. Equals torchmetrics' calibration error, without its import time.
    """
    if made.kind not in _HAVE_PROBABILITIES:
        return None
    found = reliability_bins(made)
    return float((np.abs(found.confidence - found.accuracy) * found.share).sum())
