"""Generation without transfer: the answer that the most similar source of training had (TF-IDF, cosine)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.methods.controls.saved import save_control


def fit_nearest(train: Sequence[dict], out: Path) -> dict[str, float]:
    """There is nothing to fit: sources and targets of training are kept."""
    saved = {"kind": "generation", "sources": [r["text"] for r in train], "targets": [r["target"] for r in train]}
    save_control(out, saved, {"rows": np.array([len(train)])})
    return {"score": 0.0, "rows": float(len(train))}


def answer_nearest(saved: dict[str, Any], records: Sequence[dict]) -> list[str]:
    """For each record the target of the training source nearest to it."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    index = NearestNeighbors(n_neighbors=1, metric="cosine").fit(vectorizer.fit_transform(saved["sources"]))
    found = index.kneighbors(vectorizer.transform([r["text"] for r in records]), return_distance=False)[:, 0]
    return [saved["targets"][i] for i in found]
