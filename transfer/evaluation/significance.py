"""Intervals and paired comparisons: what a difference on this test is worth.

All models of a comparison are scored on the same examples, and every resample draws the same examples for both: pairing
takes away the difficulty of the examples, which is most of the noise (Koehn 2004, "Statistical Significance Tests for MT
Evaluation"; Dror et al. 2018). Where there are several seeds, each resample also draws seeds, the same for both sides, so that the
interval speaks of the method and not of one lucky run (two-level bootstrap, as in Bouthillier et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transfer.evaluation.metrics import METRICS, Metric
from transfer.evaluation.predict import Predictions

RESAMPLES = 4000
LEVEL = 0.95
_CHUNK = 200  # resamples at once: bounds memory at 200 x n


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def signed(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True)
class Comparison:
    """Candidate minus other on one metric, paired. wins, losses: examples that only one of the shipped two gets right."""

    other: str
    difference: Interval
    wins: int
    losses: int
    mcnemar_p: float
    rows: int


def score(metric: Metric, group: Sequence[Predictions], seed: int = 0) -> Interval:
    """The metric's mean over the models of a group (one a seed), with its interval over seeds and examples."""
    return _interval(_scores(metric, group), _resampled(metric, [group], seed)[0])


def compare(
    metric: Metric, name: str, candidate: Sequence[Predictions], other: Sequence[Predictions], shipped: tuple[int, int]
) -> Comparison:
    """Compare two groups over the same examples; `shipped` are the indices of the models that would ship.

    Raises ValueError where the examples differ: a comparison over different tests means nothing.
    """
    if any(p.ids != candidate[0].ids for p in (*candidate, *other)):
        raise ValueError(f"{name}: not scored on the same examples as the candidate")
    one, two = _resampled(metric, [candidate, other], seed=0)
    difference = _interval(_scores(metric, candidate) - _scores(metric, other), one - two)
    right = candidate[shipped[0]].predicted == candidate[shipped[0]].truth
    other_right = other[shipped[1]].predicted == other[shipped[1]].truth
    wins, losses = int((right & ~other_right).sum()), int((~right & other_right).sum())
    return Comparison(name, difference, wins, losses, mcnemar(wins, losses), len(right))


def mcnemar(wins: int, losses: int) -> float:
    """p of McNemar's test (1947) that two classifiers err equally often: exact below 26 discordant pairs."""
    from statsmodels.stats.contingency_tables import mcnemar as test

    if wins + losses == 0:
        return 1.0
    return float(test([[0, wins], [losses, 0]], exact=wins + losses < 26, correction=True).pvalue)


def _scores(metric: Metric, group: Sequence[Predictions]) -> float:
    labels = len(group[0].labels)
    return float(np.mean([METRICS[metric](p.truth, p.predicted, labels) for p in group]))


def _interval(value: float, resamples: np.ndarray) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _resampled(metric: Metric, groups: Sequence[Sequence[Predictions]], seed: int) -> list[np.ndarray]:
    """The metric of each group in RESAMPLES resamples of (seeds, examples), the same draws for every group.

    A group of one model beside a group of several is compared with each of them.
    """
    rng = np.random.default_rng(seed)
    count, rows = max(len(group) for group in groups), len(groups[0][0].truth)
    truth, labels = groups[0][0].truth, len(groups[0][0].labels)
    stacked = [np.stack([p.predicted for p in group]) for group in groups]
    results: list[list[np.ndarray]] = [[] for _ in groups]
    for start in range(0, RESAMPLES, _CHUNK):
        size = min(_CHUNK, RESAMPLES - start)
        examples = rng.integers(0, rows, (size, rows))
        seeds = rng.integers(0, count, (size, count))
        for result, predicted in zip(results, stacked, strict=True):
            drawn_truth = truth[examples]
            per_model = np.stack([METRICS[metric](drawn_truth, p[examples], labels) for p in predicted], axis=1)
            chosen = seeds % len(predicted)
            result.append(np.take_along_axis(per_model, chosen, axis=1).mean(axis=1))
    return [np.concatenate(result) for result in results]
