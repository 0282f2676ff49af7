"""Tagging control: logistic regression on each word, its shape, its prefix and suffix, and its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from transferline.core.stage import Progress, Work
from transferline.methods.controls.saved import save_control
from transferline.methods.parameter.linear import coefficients, fit_linear

OUTSIDE = "O"


def fit_windows(train: Sequence[dict], validation: Sequence[dict], Cs: Iterable[float], work: Work) -> dict[str, float]:
    """Fit and save the control. Tag accuracy on validation chooses the regularisation strength C."""
    from sklearn.feature_extraction import DictVectorizer

    types = sorted({tag[2:] for row in train for tag in row["label"] if tag != OUTSIDE})
    labels = [OUTSIDE, *(f"{place}-{kind}" for kind in types for place in "BI")]
    number = {label: i for i, label in enumerate(labels)}
    y_true = [np.array([number.get(tag, 0) for row in rows for tag in row["label"]]) for rows in (train, validation)]
    vectorizer = DictVectorizer()
    learnt = vectorizer.fit_transform(_windows(train))
    held_out = vectorizer.transform(_windows(validation))
    best: tuple[float, float, Any] | None = None
    tried = sorted(Cs)
    for count, C in enumerate(tried, start=1):
        model = fit_linear("single-label", C, learnt, y_true[0])
        score = float(model.score(held_out, y_true[1]))
        if best is None or score > best[0]:
            best = (score, C, model)
        work.report(Progress(work.name, count, len(tried), "fits", 0.0, {"validation_accuracy": score}))
    assert best is not None
    weights, bias = coefficients(best[2], len(labels))
    vocabulary = {name: int(index) for name, index in vectorizer.vocabulary_.items()}
    save_control(
        work.out, {"kind": "tokens", "labels": labels, "vocabulary": vocabulary}, {"weights": weights, "bias": bias}
    )
    return {"validation_accuracy": best[0], "score": best[0], "C": best[1]}


def tag_windows(saved: dict[str, Any], arrays: dict[str, np.ndarray], records: Sequence[dict]) -> list[tuple[str, ...]]:
    """Tags that a saved control predicts for each word of each record."""
    from sklearn.feature_extraction import DictVectorizer

    vectorizer = DictVectorizer()
    vectorizer.vocabulary_ = saved["vocabulary"]
    vectorizer.feature_names_ = sorted(saved["vocabulary"], key=saved["vocabulary"].__getitem__)
    best = (vectorizer.transform(_windows(records)) @ arrays["weights"].T + arrays["bias"]).argmax(axis=1)
    ends = np.cumsum([len(record["words"]) for record in records])
    return [tuple(saved["labels"][i] for i in part) for part in np.split(best, ends[:-1])]


def _windows(records: Sequence[dict]) -> list[dict[str, str]]:
    return [_window(record["words"], i) for record in records for i in range(len(record["words"]))]


def _window(words: Sequence[str], i: int) -> dict[str, str]:
    word = words[i]
    around = {f"word{d:+d}": words[i + d].casefold() for d in (-2, -1, 1, 2) if 0 <= i + d < len(words)}
    shape = "".join("X" if c.isupper() else "x" if c.islower() else "9" if c.isdigit() else c for c in word)[:8]
    return {
        "word": word.casefold(),
        "shape": shape,
        "end": word[-3:].casefold(),
        "start": word[:3].casefold(),
        **around,
    }
