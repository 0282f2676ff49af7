"""Features of all layers in one forward pass, and a linear probe on each layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.cost import Gauge
from transferline.core.problem import TargetKind
from transferline.core.runtime import Runtime
from transferline.methods.parameter.linear import fit_linear, scaling, score_linear
from transferline.models.tokenization import TokenizerSettings, load_tokenizer
from transferline.models.weights import load_model

FOLDS = 5


def features_of_layers(
    folder: Path, texts: Sequence[str], reading: TokenizerSettings, runtime: Runtime, size: int = 64
) -> np.ndarray:
    """Mean over tokens of every hidden state, (layers + 1, texts, width), fp32. Index 0 is the embeddings."""
    import torch

    from transferline.models.networks.pooling import mean_of_tokens

    tokenizer = load_tokenizer(folder, reading)
    model: Any = load_model("AutoModel", folder, 0)[0].eval().to(runtime.device)
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    made: np.ndarray | None = None
    gauge = Gauge()
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = tokenizer([texts[i] for i in chosen], truncation=True, padding=True, return_tensors="pt")
            batch = batch.to(runtime.device)
            mask = batch["attention_mask"]
            with gauge.count(int(mask.sum())):
                states = model(**batch, output_hidden_states=True).hidden_states
            pooled = np.stack([mean_of_tokens(state, mask).float().cpu().numpy() for state in states])
            made = np.zeros((len(states), len(texts), pooled.shape[-1]), np.float32) if made is None else made
            made[:, chosen] = pooled
    assert made is not None
    return made


def folds_of(kind: TargetKind, y_true: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(training, held-out) indices of each fold, the same for every probe of a target. Stratified by label where possible."""
    from sklearn.model_selection import KFold, StratifiedKFold

    strata = y_true if kind == "single-label" and np.bincount(y_true).min() >= FOLDS else None
    folds = (StratifiedKFold if strata is not None else KFold)(FOLDS, shuffle=True, random_state=0)
    return list(folds.split(np.zeros(len(y_true)), strata))


def cross_validated(
    kind: TargetKind, features: np.ndarray, y_true: np.ndarray, C: float = 1.0, more: tuple[Any, ...] = ()
) -> tuple[float, float]:
    """(score, standard error) of a linear probe on features (n, d), by folds: accuracy, micro-F1 or R2.

    `more` are (features, labels) of source examples. They are added to the training part of every fold and never tested on.
    """
    scores = []
    for train, test in folds_of(kind, y_true):
        points, labels = features[train], y_true[train]
        if more:
            points, labels = np.concatenate([points, more[0]]), np.concatenate([labels, more[1]])
        scaled = scaling(points)
        model = fit_linear(kind, C, scaled(points), labels)
        scores.append(score_linear(kind, model, scaled(features[test]), y_true[test]))
    return float(np.mean(scores)), float(np.std(scores, ddof=1) / np.sqrt(len(scores)))
