"""TrAdaBoost: boosting that raises target examples it errs on, and lowers source examples it errs on.

Dai, Yang, Xue & Yu, "Boosting for Transfer Learning" (2007), figure 2. The paper has two labels; more are treated as in SAMME
(Zhu, Rosset, Zou & Hastie 2009, section 2), which for two is the same. Without any source it is AdaBoost. On text the learners
are weighted linear models on the chain's features, and what is handed on are the source examples' weights.
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

Learner = Callable[[], Any]  # makes a classifier of scikit-learn's kind whose `fit` takes `sample_weight`
NEVER = 1e-10  # errors of zero are taken for this: a perfect learner has a finite say


class TrAdaBoost(ByFeatures):
    """Weigh source examples down as they contradict what the target's examples teach."""

    source: ClassVar[str] = "Dai et al. 2007, figure 2"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label",)

    method: Literal["tradaboost"] = "tradaboost"
    rounds: Annotated[int, Field(ge=2)] = 20
    C: Annotated[float, Field(gt=0)] = 1.0
    """inverse regularisation of the linear learners"""

    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        mine, theirs = self.features(work, own, source_rows)
        (y_true, said), _ = labels_of(own, source_rows)
        return boost((theirs, said), (mine, y_true), self.rounds, lambda: linear(self.C)).source_weights


@dataclass
class Boosted:
    """Learners of all rounds with the target error of each, and the weights after the last one, one where a round began."""

    learners: list[Any] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    source_weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    target_weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    classes: int = 2

    def votes(self, points: np.ndarray) -> np.ndarray:
        """Votes (n, classes): of the later half of the rounds, each with the log odds of its target error."""
        total = np.zeros((len(points), self.classes))
        for learner, error in list(zip(self.learners, self.errors, strict=True))[len(self.learners) // 2 :]:
            total[np.arange(len(points)), learner.predict(points)] += say(error, self.classes)
        return total

    def predict(self, points: np.ndarray) -> np.ndarray:
        """The label number with most votes for each point."""
        return self.votes(points).argmax(axis=1)


def boost(
    source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray], rounds: int, make: Learner
) -> Boosted:
    """Boost on source and target, each points (n, d) and label numbers (n,); an empty source makes it AdaBoost.

    Without a source it ends where a learner is no better than guessing on the target as it is now weighted. The paper asks for
    learners that never are. Here, with a source, such a learner has no say and boosting begins again with even weights on the
    target; where it is worse than guessing on those too, the source as a whole is lowered.
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
                weights[:source_rows] *= shrink  # the source has led it astray, all of it
            weights[source_rows:] = 1.0  # boosting is at its end and begins again, on a better source
            continue
        made.learners.append(learner)
        made.errors.append(error)
        if error <= NEVER and not source_rows:  # nothing is left to learn
            break
        weights[:source_rows] *= np.where(wrong[:source_rows], shrink, 1.0)
        weights[source_rows:] *= np.where(wrong[source_rows:], np.exp(say(error, classes)), 1.0)
    made.source_weights = weights[:source_rows]
    made.target_weights = weights[source_rows:]
    return made


def say(error: float, classes: int) -> float:
    """A learner's say: log odds of being right, and for more labels than two what SAMME adds."""
    return float(np.log((1 - error) / error) + np.log(classes - 1))


def linear(C: float) -> Any:
    """A weighted linear learner."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=2000)
