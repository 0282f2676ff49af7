"""Statistics of a set of texts, for the data section of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from transferline.core.problem import TargetKind
from transferline.data.split import Label


def describe(
    texts: Sequence[str], labels: Sequence[Label] = (), kind: TargetKind = "single-label"
) -> dict[str, object]:
    """Number of rows, length in words (median, 95th percentile, longest), and the distribution of the labels."""
    profile = describe_lengths([len(text.split()) for text in texts])
    if labels:
        profile["labels"] = _LABELS[kind](labels)
    return profile


def describe_lengths(words: Sequence[int]) -> dict[str, object]:
    """Rows, and their length in words."""
    lengths = np.array(words or [0])
    return {
        "rows": len(words),
        "words": {
            "median": float(np.median(lengths)),
            "p95": float(np.percentile(lengths, 95)),
            "longest": int(lengths.max()),
        },
    }


def _counts(labels: Sequence[Label]) -> dict[str, float]:
    return dict(sorted(Counter(str(label) for label in labels).items()))


def _each(labels: Sequence[Label]) -> dict[str, float]:
    return dict(sorted(Counter(one for label in labels if isinstance(label, tuple) for one in label).items()))


def _numbers(labels: Sequence[Label]) -> dict[str, float]:
    values = np.array(labels, dtype=float)
    return {"lowest": float(values.min()), "mean": float(values.mean()), "highest": float(values.max())}


def _spans(labels: Sequence[Label]) -> dict[str, float]:
    return {tag[2:]: n for tag, n in _each(labels).items() if tag.startswith("B-")}


def _lengths(labels: Sequence[Label]) -> dict[str, float]:
    return {"median words": float(np.median([len(str(label).split()) for label in labels]))}


_LABELS: dict[TargetKind, Callable[[Sequence[Label]], dict[str, float]]] = {
    "single-label": _counts,
    "multi-label": _each,
    "regression": _numbers,
    "tokens": _spans,
    "generation": _lengths,
}
