"""How well probabilities can be believed."""

from __future__ import annotations

import numpy as np

from transferline.evaluation.predictions import Predictions

BINS = 15  # as in Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4


def calibration_error(made: Predictions) -> float | None:
    """Expected calibration error (Naeini et al. 2015): mean gap between confidence and accuracy over 15 bins.

    Of several labels, over all cells; None where a kind has no probabilities. As torchmetrics has it, without its 2 s of imports.
    """
    if made.kind not in ("single-label", "multi-label"):
        return None
    if made.kind == "multi-label":
        sure, right = made.outputs.ravel(), made.y_true.ravel()
    else:
        sure, right = made.outputs.max(axis=1), made.quality
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(sure))
