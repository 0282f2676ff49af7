"""Fit a linear layer on frozen features. The problem is convex: one solution, without a seed or a schedule.

Validation chooses the regularisation strength; of equal scores the strongest regularisation wins. scikit-learn fits the model.
The solution is returned in the units of the features, so that it can be copied into a model's last layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferline.core.problem import TargetKind

Told = Callable[[int, float, float], None]
"""called after each fit with (number of the fit, regularisation strength C, validation score)"""


@dataclass(frozen=True)
class Solution:
    """Weights (outputs, width) and bias (outputs,), with the chosen strength C and its validation score."""

    C: float
    score: float
    weights: np.ndarray
    bias: np.ndarray


def solve(
    kind: TargetKind,
    learnt: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    outputs: int,
    *,
    Cs: Sequence[float],
    tell: Told,
    intercept: bool = True,
    weights: np.ndarray | None = None,
) -> Solution:
    """Fit a linear model for each inverse regularisation strength C, and return the one with the best validation score.

    `learnt` and `held_out` are features (n, d) and labels (n, ...) of training and validation. `weights` (n,) are sample weights.
    `tell` is called after each fit.
    """
    mean = learnt[0].mean(axis=0) if intercept else np.zeros(learnt[0].shape[1])
    scale = std(learnt[0])
    train, validation = ((features - mean) / scale for features in (learnt[0], held_out[0]))
    best: tuple[float, float, Any] | None = None
    for number, C in enumerate(sorted(Cs), start=1):
        model = fit_linear(kind, C, train, learnt[1], intercept, weights)
        score = score_linear(kind, model, validation, held_out[1])
        # C ascends and `>` is strict: of equal scores the smallest C, the strongest regularisation, is kept
        if best is None or score > best[0]:
            best = (score, C, model)
        tell(number, C, score)
    assert best is not None
    rows, bias = coefficients(best[2], outputs)
    rows = rows / scale  # back to the units of the features
    return Solution(best[1], best[0], rows, bias - rows @ mean)


def std(points: np.ndarray) -> float:
    """Root of the mean variance of the columns of points (n, d); 1 if all are constant. One scale for all columns."""
    return float(np.sqrt(points.var(axis=0).mean())) or 1.0


def scaling(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that standardises other points with the mean and the scale of these points (n, d)."""
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
    """Fit scikit-learn's model for a kind of target.

    That is ridge regression for numbers, logistic regression otherwise, and one logistic regression per label for multi-label.
    """
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
    # scikit-learn then passes sample weights to the model of each label
    with config_context(enable_metadata_routing=True):
        return OneVsRestClassifier(model.set_fit_request(sample_weight=True)).fit(
            features, y_true, sample_weight=weights
        )


def score_linear(kind: TargetKind, model: Any, features: Any, y_true: np.ndarray) -> float:
    """Accuracy, micro-F1 or R2 on held-out features."""
    if kind == "multi-label":
        predicted = (
            model.predict(features).astype(bool).reshape(y_true.shape)
        )  # scikit-learn drops the axis of one label
        return 2 * float((predicted & y_true).sum()) / max(1, int(predicted.sum() + y_true.sum()))
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
        if len(weights) == 1:  # two labels: scikit-learn has one row of log odds; split it evenly over two outputs
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        if len(weights) < outputs:  # a label without training examples gets a bias so low that it is never predicted
            all_weights, all_bias = np.zeros((outputs, weights.shape[1])), np.full(outputs, -1e4)
            all_weights[model.classes_], all_bias[model.classes_] = weights, bias
            return all_weights, all_bias
    return weights, bias


def _row(one: Any) -> tuple[np.ndarray, float]:
    """Weights and bias of one label's model. A label that all or no examples have gets a constant bias and no weights."""
    if hasattr(one, "coef_"):
        return one.coef_[0], float(one.intercept_[0])
    return np.zeros(0), 1e2 if float(one.y_[0]) > 0 else -1e2
