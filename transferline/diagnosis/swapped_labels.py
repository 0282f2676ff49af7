"""Find a source whose labels mean other labels of the target, such as reversed ratings.

Estimates that only use the source's predictions as evidence (LEEP, affinities) do not see this: reversed labels predict as well as
right ones. Training on such examples teaches the wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_ERRORS = 3.3  # standard errors by which the mapping must be better: a chance of about 1 in 2,000


def swapped_labels(predicted: np.ndarray, y_true: np.ndarray, labels: Sequence[str]) -> dict[str, str]:
    """Map each label of the source to the target's label that it predicts, where they differ. Empty if the labels agree.

    `predicted` and `y_true` are indices of `labels`, (n,): a source model's predictions on the target's examples, and their labels.
    The mapping is the assignment with the highest mean recall. It counts only if its mean recall is higher than that of the labels
    as they are named by several standard errors. Recall, not accuracy, because one frequent label would decide the accuracy.
    """
    from scipy.optimize import linear_sum_assignment

    count = len(labels)
    seen = [label for label in range(count) if (y_true == label).any()]
    recall = np.zeros((count, count))  # predicted label in rows, the example's label in columns
    for label in seen:
        recall[:, label] = np.bincount(predicted[y_true == label], minlength=count) / (y_true == label).sum()
    _, means = linear_sum_assignment(recall, maximize=True)
    won, lost = (
        (means[predicted] == y_true) & (predicted != y_true),
        (predicted == y_true) & (means[predicted] != y_true),
    )
    gained = [won[y_true == label].astype(float) - lost[y_true == label] for label in seen]
    error = np.sqrt(
        sum((gains.var() + 1 / len(gains)) / len(gains) for gains in gained)
    )  # 1/n: no certainty from few rows
    if sum(gains.mean() for gains in gained) < _ERRORS * error:
        return {}
    return {labels[i]: labels[int(j)] for i, j in enumerate(means) if i != j}
