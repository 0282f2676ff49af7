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

from transfer.evaluation.metrics import METRICS, evidence_of, measure
from transfer.evaluation.predictions import Predictions

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
    """Candidate minus other on one metric, paired. wins, losses: examples on which one of the shipped two is better."""

    other: str
    difference: Interval
    wins: int
    losses: int
    mcnemar_p: float
    rows: int
    test: str = "McNemar"


def score(metric: str, group: Sequence[Predictions], seed: int = 0) -> Interval:
    """The metric's mean over the models of a group (one a seed), with its interval over seeds and examples."""
    return _interval(_scores(metric, group), _resampled(metric, [group], seed)[0])


def compare(
    metric: str, name: str, candidate: Sequence[Predictions], other: Sequence[Predictions], shipped: tuple[int, int]
) -> Comparison:
    """Compare two groups over the same examples; `shipped` are the indices of the models that would ship.

    Raises ValueError where the examples differ: a comparison over different tests means nothing.
    """
    if any(p.ids != candidate[0].ids for p in (*candidate, *other)):
        raise ValueError(f"{name}: not scored on the same examples as the candidate")
    one, two = _resampled(metric, [candidate, other], seed=0)
    difference = _interval(_scores(metric, candidate) - _scores(metric, other), one - two)
    mine, theirs = candidate[shipped[0]].quality, other[shipped[1]].quality
    wins, losses = int((mine > theirs).sum()), int((mine < theirs).sum())
    test = "McNemar" if candidate[0].kind == "single-label" else "sign test"
    return Comparison(name, difference, wins, losses, mcnemar(wins, losses), len(mine), test)


def mcnemar(wins: int, losses: int) -> float:
    """p of McNemar's test (1947) that two classifiers err equally often: exact below 26 discordant pairs.

    Where an answer is more than right or wrong this is the sign test over the examples on which the two differ.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    if wins + losses == 0:
        return 1.0
    return float(test([[0, wins], [losses, 0]], exact=wins + losses < 26, correction=True).pvalue)


def _scores(metric: str, group: Sequence[Predictions]) -> float:
    return float(np.mean([measure(metric, p) for p in group]))


def _interval(value: float, resamples: np.ndarray) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _resampled(metric: str, groups: Sequence[Sequence[Predictions]], seed: int) -> list[np.ndarray]:
    """The metric of each group in RESAMPLES resamples of (seeds, examples), the same draws for every group.

    A group of one model beside a group of several is compared with each of them.
    """
    rng = np.random.default_rng(seed)
    first = groups[0][0]
    count, rows = max(len(group) for group in groups), len(first.truth)
    of_resample = METRICS[first.kind][metric].score
    evidence = [[evidence_of(metric, p) for p in group] for group in groups]
    results: list[list[np.ndarray]] = [[] for _ in groups]
    for start in range(0, RESAMPLES, _CHUNK):
        size = min(_CHUNK, RESAMPLES - start)
        examples = rng.integers(0, rows, (size, rows))
        seeds = rng.integers(0, count, (size, count))
        for result, models in zip(results, evidence, strict=True):
            per_model = np.stack([of_resample(one[examples], len(first.labels)) for one in models], axis=1)
            chosen = seeds % len(models)
            result.append(np.take_along_axis(per_model, chosen, axis=1).mean(axis=1))
    return [np.concatenate(result) for result in results]
