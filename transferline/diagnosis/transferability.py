"""Transferability scores: estimate the value of features, or of a source task's predictions, without training on the target.

All are functions of arrays. Higher is better. They rank candidates and are not accuracies.
"""

from __future__ import annotations

import numpy as np

BLANK = 1e-9  # a spread of features below it is rounding: every text looks the same to the model
ROUNDS = 30  # of LogME's fixed point: it settles in a few (You et al. 2021, section 4.3)


def logme(features: np.ndarray, labels: np.ndarray, classes: int | None = None) -> float:
    """Logarithm of the maximum evidence of a Bayesian linear model, per example (You et al., "LogME", 2021, section 4).

    features (n, d). labels (n,) are class indices if `classes` is given (mean over one-against-rest), else numbers.
    """
    points = features - features.mean(axis=0)
    left, singular, _ = np.linalg.svd(points, full_matrices=False)
    if singular[0] <= BLANK * np.sqrt(points.size):
        left, singular = (
            left[:, :0],
            singular[:0],
        )  # features that are all alike: what is left is the labels' own evidence
    columns = [labels.astype(float)] if classes is None else [(labels == c).astype(float) for c in range(classes)]
    found = [_evidence(left, singular**2, column - column.mean(), points.shape) for column in columns if np.ptp(column)]
    return float(np.mean(found)) if found else float("nan")


def _evidence(left: np.ndarray, spectrum: np.ndarray, column: np.ndarray, shape: tuple[int, ...]) -> float:
    """Evidence of one column, per example, at the precisions that maximise it (You et al. 2021, algorithm 1)."""
    rows, width = shape
    projected = (left.T @ column) ** 2
    rest = max(float(column @ column - projected.sum()), 0.0)
    if not len(spectrum):
        variance = max(rest / rows, 1e-12)
        return -0.5 * float(np.log(2 * np.pi * variance) + 1)
    alpha, beta = 1.0, 1.0
    for _ in range(ROUNDS):
        share = spectrum / (spectrum + alpha / beta)
        gamma = float(share.sum())
        weights = float((spectrum * projected / (spectrum + alpha / beta) ** 2).sum())
        error = float((projected * (1 - share) ** 2).sum()) + rest
        alpha, beta = gamma / max(weights, 1e-12), max(rows - gamma, 1e-6) / max(error, 1e-12)
    small = min(rows, width)
    determinant = float(np.log(alpha + beta * spectrum).sum()) + (width - small) * np.log(alpha)
    fit = width / 2 * np.log(alpha) + rows / 2 * np.log(beta) - rows / 2 * np.log(2 * np.pi)
    return float(fit - beta / 2 * error - alpha / 2 * weights - determinant / 2) / rows


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """trace(cov(f)^-1 cov(E[f | y])) (Bao et al., "An Information-Theoretic Approach to Transferability", 2019, definition 2).

    The covariance is shrunk as Ledoit and Wolf say, and the trace with it (Ibrahim, Ponomareva & Mazumder, "Newer is not always
    better", 2022, section 3): features often outnumber examples, and every label then looks like a direction of its own.
    """
    from sklearn.covariance import ledoit_wolf

    points = features - features.mean(axis=0)
    if np.abs(points).max() <= BLANK:
        return 0.0
    covariance, shrinkage = ledoit_wolf(points, assume_centered=True)
    means = np.zeros_like(points)
    for label in np.unique(labels):
        means[labels == label] = points[labels == label].mean(axis=0)
    between = means.T @ means / max(len(points) - 1, 1)
    return float((1 - shrinkage) * np.trace(np.linalg.solve(covariance, between)))


def leep(said: np.ndarray, labels: np.ndarray) -> float:
    """Mean log-likelihood of the target's labels under the source model's distribution (Nguyen et al., "LEEP", 2020, section 3).
     The first argument has shape (n, source labels): the source model's probabilities on target examples. labels (n,) are class
    indices.
    """
    return float(np.log(np.maximum(expected_prediction(said, labels), 1e-12)).mean())


def expected_prediction(said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """LEEP's probability of each example's own label, (n,): the source's label is drawn, then the target's given it."""
    classes = int(labels.max()) + 1
    joint = np.stack([said[labels == label].sum(axis=0) for label in range(classes)]) / len(labels)
    given = joint / np.maximum(joint.sum(axis=0, keepdims=True), 1e-12)
    return (said @ given.T)[np.arange(len(labels)), labels]
