"""Scores on the test rows that have copies in other data, and on the rows that have none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import Interval, score

LEAST_ROWS = 2  # one row has no interval


def clean_scores(metric: str, shipped: Predictions, contaminated: Sequence[str]) -> dict[str, Interval]:
    """Score the shipped model on contaminated test rows and on clean ones.

    `contaminated` holds the ids of test rows with copies in training data or corpus, as the leak gate found them. The result
    is empty where no row is contaminated. A part of fewer than two rows is left out.
    """
    touched = np.isin(np.array(shipped.ids), list(contaminated))
    if not touched.any():
        return {}
    parts = {"contaminated": touched, "clean": ~touched}
    return {name: score(metric, [shipped.rows(keep)]) for name, keep in parts.items() if keep.sum() >= LEAST_ROWS}
