"""Label-efficiency curves: the score over the number of labels, and the number of labels that transfer saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferline.evaluation.paired_intervals import LEVEL
from transferline.evaluation.significance import Interval
from transferline.tournament.statistics import Scores


def group(entry: str, budget: int) -> str:
    """The name of the group of an entry's models with a given label budget."""
    return f"{entry} @ {budget}"


@dataclass(frozen=True)
class Ratio:
    """Label ratio: the factor of fewer labels that one method needs to reach another's score with all labels.

    `low` and `high` are the 95 % interval. If `capped`, the smallest budget already reaches the score, so `value` is a lower bound.
    """

    other: str
    score: float
    value: float
    low: float
    high: float
    capped: bool

    def __str__(self) -> str:
        if self.value < 1:
            return "all labels are not enough to reach it: no labels saved"
        least = "at least " if self.capped else ""
        return f"{least}{self.value:.1f}x fewer labels [{self.low:.1f}, {self.high:.1f}]"


def labels_needed(budgets: Sequence[int], scores: np.ndarray, wanted: float) -> float:
    """The number of labels at which a curve reaches a score, by isotonic regression and linear interpolation in log labels.

    The smallest budget if the curve starts above the score, infinite if it ends below it.
    """
    from sklearn.isotonic import IsotonicRegression

    places = np.log(np.array(budgets, dtype=float))
    # isotonic: more labels do not lower the true score, so a dip of the measured curve is noise
    rising = IsotonicRegression().fit_transform(places, scores)
    if rising[-1] < wanted:
        return float("inf")
    if rising[0] >= wanted:
        return float(budgets[0])
    after = int(np.argmax(rising >= wanted))
    share = (wanted - rising[after - 1]) / (rising[after] - rising[after - 1])
    return float(np.exp(places[after - 1] + share * (places[after] - places[after - 1])))


def label_ratio(entry: str, other: str, budgets: Sequence[int], scores: Scores) -> Ratio:
    """The label ratio of an entry to another: where the entry's curve reaches the other's score with all labels."""
    names = [group(entry, budget) for budget in budgets]
    full = group(other, budgets[-1])
    draws = scores.draws([*names, full])
    most = budgets[-1]

    def ratio(curve: np.ndarray, wanted: float) -> float:
        return most / labels_needed(budgets, curve, wanted)

    wanted = float(scores.points[full].mean())
    value = ratio(np.array([scores.points[name].mean() for name in names]), wanted)
    curves = np.stack([draws[name] for name in names], axis=1)
    drawn = np.array([ratio(curve, score) for curve, score in zip(curves, draws[full], strict=True)])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    capped = value >= most / budgets[0]
    return Ratio(other, wanted, value, float(low), float(high), capped)


@dataclass(frozen=True)
class Slope:
    """Expected gains at the current number of labels: of twice the labels, and of adaptation.

    `labels_win` is the probability that twice the labels gain more than adaptation.
    """

    doubling: Interval
    adaptation: Interval | None
    labels_win: float | None


def slope(entry: str, adapted: tuple[str, str] | None, budgets: Sequence[int], scores: Scores) -> Slope | None:
    """The gain from twice the labels at the end of an entry's curve, and the gain from adaptation.

    `adapted` names an adapted entry and the same recipe without adaptation. None if there is only one budget.
    """
    if len(budgets) < 2:
        return None
    last, before = group(entry, budgets[-1]), group(entry, budgets[-2])
    doublings = float(np.log2(budgets[-1] / budgets[-2]))
    pair = [group(name, budgets[-1]) for name in adapted] if adapted else []
    draws = scores.draws([last, before, *pair])
    gain = (draws[last] - draws[before]) / doublings
    value = (scores.points[last].mean() - scores.points[before].mean()) / doublings
    doubling = _interval(float(value), gain)
    if not adapted:
        return Slope(doubling, None, None)
    added = draws[pair[0]] - draws[pair[1]]
    point = float(scores.points[pair[0]].mean() - scores.points[pair[1]].mean())
    return Slope(doubling, _interval(point, added), float((gain > added).mean()))


def _interval(value: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
