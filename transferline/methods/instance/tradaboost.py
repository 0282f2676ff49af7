"""TrAdaBoost: boosting that raises the weights of misclassified target examples and lowers those of misclassified source examples.

Dai, Yang, Xue & Yu, "Boosting for Transfer Learning" (2007), figure 2. The paper has two labels. More labels are handled as in
SAMME (Zhu, Rosset, Zou & Hastie 2009, section 2), which is the same for two. Without source examples it is AdaBoost. The learners
are linear models on the chain's features, and the result of the stage are the final weights of the source examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.problem import TargetKind
from transferline.core.stage import Work
from transferline.methods.instance.source_examples import ByFeatures, labels_of

WeakLearner = Callable[[], Any]  # returns a new scikit-learn classifier whose `fit` accepts `sample_weight`
NEVER = 1e-10  # lower bound of the error, so that a perfect learner has a finite vote


class TrAdaBoost(ByFeatures):
    """Weight source examples by boosting; those that contradict the target's examples lose weight."""

    source: ClassVar[str] = "Dai et al. 2007, figure 2"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label",)

    method: Literal["tradaboost"] = "tradaboost"
    rounds: Annotated[int, Field(ge=2)] = 20
    """boosting rounds"""
    C: Annotated[float, Field(gt=0)] = 1.0
    """inverse regularisation strength C of the linear learners"""

    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        mine, theirs = self.features(work, own, source_rows)
        (y_true, said), _ = labels_of(own, source_rows)
        return boost((theirs, said), (mine, y_true), self.rounds, lambda: linear(self.C)).source_weights


@dataclass
class Boosted:
    """Result of boosting: the learner and the weighted target error of each round, and the final weights of all examples."""

    learners: list[Any] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    source_weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    classes: int = 2

    def votes(self, points: np.ndarray) -> np.ndarray:
        """Sum of votes (n, classes) of the learners, each weighted with the log odds of its target error."""
        total = np.zeros((len(points), self.classes))
        # only the later half of the rounds votes (Dai et al. 2007, figure 2)
        for learner, error in list(zip(self.learners, self.errors, strict=True))[len(self.learners) // 2 :]:
            total[np.arange(len(points)), learner.predict(points)] += say(error, self.classes)
        return total

    def predict(self, points: np.ndarray) -> np.ndarray:
        """The label number with the most votes for each point, (n,)."""
        return self.votes(points).argmax(axis=1)


def boost(
    source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray], rounds: int, make: WeakLearner
) -> Boosted:
    """Boost on source and target, each given as points (n, d) and label numbers (n,). With an empty source it is AdaBoost.

    The paper assumes learners that beat chance on the weighted target. Without a source, boosting stops at the first learner that
    does not. With a source, that learner gets no vote, and the target's weights are reset to one. If it does not beat chance with
    even weights either, the weights of all source examples are lowered as well.
    """
    points, y_true = np.concatenate([source[0], target[0]]), np.concatenate([source[1], target[1]])
    source_rows, classes = len(source[1]), int(y_true.max()) + 1
    shrink = 1 / (1 + np.sqrt(2 * np.log(max(source_rows, 1)) / rounds))
    weights = np.ones(len(y_true))
    made = Boosted(classes=classes)
    for _ in range(rounds):
        learner = make().fit(points, y_true, sample_weight=weights / weights.mean())
        wrong = learner.predict(points) != y_true
        own = weights[source_rows:]
        error = float(max((own * wrong[source_rows:]).sum() / own.sum(), NEVER))
        if error >= 1 - 1 / classes:
            if not source_rows:
                break
            if wrong[source_rows:].mean() >= 1 - 1 / classes:
                weights[:source_rows] *= shrink  # the source as a whole misleads the learner
            weights[source_rows:] = 1.0  # restart boosting on the target with the lower source weights
            continue
        made.learners.append(learner)
        made.errors.append(error)
        if error <= NEVER and not source_rows:  # no error left to reduce
            break
        weights[:source_rows] *= np.where(wrong[:source_rows], shrink, 1.0)
        weights[source_rows:] *= np.where(wrong[source_rows:], np.exp(say(error, classes)), 1.0)
    made.source_weights = weights[:source_rows]
    return made


def say(error: float, classes: int) -> float:
    """Weight of a learner's vote: its log odds of being right, plus SAMME's term log(classes - 1)."""
    return float(np.log((1 - error) / error) + np.log(classes - 1))


def linear(C: float) -> Any:
    """Logistic regression with inverse regularisation strength C."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=2000)
