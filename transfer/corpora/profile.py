"""A profile of a set of texts: what the report says about the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def describe(texts: Sequence[str], labels: Sequence[str] | None = None) -> dict[str, object]:
    """Rows, length in words (median, 95th percentile, longest), and the share of each label."""
    lengths = np.array([len(text.split()) for text in texts] or [0])
    profile: dict[str, object] = {
        "rows": len(texts),
        "words": {
            "median": float(np.median(lengths)),
            "p95": float(np.percentile(lengths, 95)),
            "longest": int(lengths.max()),
        },
    }
    if labels is not None:
        profile["labels"] = dict(sorted(Counter(labels).items()))
    return profile
