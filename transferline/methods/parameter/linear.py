"""The best linear layer on frozen features: convex, so no seed, no schedule, one solution.

Its strength of regularisation is chosen on validation (ties: the more regularised). scikit-learn solves; the solution is
given back in the units of the features, so that it can be written into a model's last layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferline.core.problem import TargetKind

Told = Callable[[int, float, float], None]


@dataclass(frozen=True)
class Solution:
    """Weights (outputs, width) and bias (outputs,) with the strength and the validation score they were chosen by."""

    C: float
    score: float
    weights: np.ndarray
    bias: np.ndarray


def solve(
    kind: TargetKind,
    learnt: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    outputs: int,
    Cs: Sequence[float],
    tell: Told,
    intercept: bool = True,
    weights: np.ndarray | None = None,
) -> Solution:
    """Fit features to truth, both (n, ...), at each inverse strength of regularisation; `tell` hears (number, strength, score).

    `weights` (n,) say how much each example counts.
    """
    mean = learnt[0].mean(axis=0) if intercept else np.zeros(learnt[0].shape[1])
    scale = std(learnt[0])
    train, validation = ((features - mean) / scale for features in (learnt[0], held_out[0]))
    best: tuple[float, float, Any] | None = None
    for number, C in enumerate(sorted(Cs), start=1):
        model = fit_linear(kind, C, train, learnt[1], intercept, weights)
        score = score_linear(kind, model, validation, held_out[1])
        if best is None or score > best[0]:
            best = (score, C, model)
        tell(number, C, score)
    assert best is not None
    rows, bias = coefficients(best[2], outputs)
    rows = rows / scale
    return Solution(best[1], best[0], rows, bias - rows @ mean)


def std(points: np.ndarray) -> float:
    """One unit for all columns of points (n, d): the root of their mean variance; 1 where nothing varies."""
    return float(np.sqrt(points.var(axis=0).mean())) or 1.0


def scaling(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What brings other points to the units of these: centred, and divided by their spread."""
    mean, scale = points.mean(axis=0), std(points)
    return lambda others: (others - mean) / scale


def fit_linear(
    kind: TargetKind,
    C: float,
    features: Any,
    y_true: np.ndarray,
    intercept: bool = True,
    weights: np.ndarray | None = None,
) -> Any:
    """scikit-learn's model for a kind of target: logistic regression, one for each label, or ridge regression."""
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier

    if kind == "regression":
        return Ridge(alpha=1 / C, fit_intercept=intercept).fit(features, y_true, sample_weight=weights)
    model = LogisticRegression(C=C, max_iter=5000, fit_intercept=intercept)
    if kind != "multi-label":
        return model.fit(features, y_true, sample_weight=weights)
    if weights is None:
        return OneVsRestClassifier(model).fit(features, y_true)
    with config_context(enable_metadata_routing=True):  # how scikit-learn hands weights on to the labels' models
        return OneVsRestClassifier(model.set_fit_request(sample_weight=True)).fit(
            features, y_true, sample_weight=weights
        )


def score_linear(kind: TargetKind, model: Any, features: Any, y_true: np.ndarray) -> float:
    """Accuracy, micro-F1 or R2 on held-out features."""
    if kind == "multi-label":
        said = model.predict(features).astype(bool)
        return 2 * float((said & y_true).sum()) / max(1, int(said.sum() + y_true.sum()))
    return float(model.score(features, y_true))


def coefficients(model: Any, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (outputs, width) and bias (outputs,) of a fitted model."""
    if hasattr(model, "estimators_"):
        rows = [_row(one) for one in model.estimators_]
        width = max(len(weights) for weights, _ in rows)
        return (
            np.stack([weights if len(weights) == width else np.zeros(width) for weights, _ in rows]),
            np.array([bias for _, bias in rows]),
        )
    weights, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if hasattr(model, "classes_"):
        if len(weights) == 1:  # two labels: one row of log odds; as two outputs, half of it each way
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        if len(weights) < outputs:  # a label that the fitted rows do not have is never said
            whole, never = np.zeros((outputs, weights.shape[1])), np.full(outputs, -1e4)
            whole[model.classes_], never[model.classes_] = weights, bias
            return whole, never
    return weights, bias


def _row(one: Any) -> tuple[np.ndarray, float]:
    """Weights and bias of one label's model; a label that is always or never there has a constant."""
    if hasattr(one, "coef_"):
        return one.coef_[0], float(one.intercept_[0])
    return np.zeros(0), 1e2 if float(one.y_[0]) > 0 else -1e2
