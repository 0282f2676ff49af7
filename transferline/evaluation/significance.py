"""Intervals and paired comparisons of scores.

All models of a comparison are scored on the same examples, and every resample draws the same examples for both. Pairing removes
the difficulty of the examples, which is most of the noise (Koehn 2004, "Statistical Significance Tests for MT Evaluation"; Dror
et al. 2018). With several seeds the interval describes the method and not one lucky run. It has two parts: one for the examples
(by a score interval where the metric is a mean over examples, else by bootstrap) and one for the seeds (by Student's t, because
three seeds hardly show their own standard deviation). They are joined as Zou & Donner (2008, "Construction of confidence limits
about effect measures", section 2) join the limits of a sum: the squares of the two distances add up. A bootstrap that also
resamples the few seeds finds differences between two copies of one method in up to a quarter of all cases. This one does in at
most 6 % (tests/tournament/test_size.py measures both size and power).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from transferline.evaluation.metrics import METRICS, evidence_of, measure
from transferline.evaluation.paired_intervals import LEVEL, least_distance, paired_interval
from transferline.evaluation.predictions import Predictions

RESAMPLES = 4000
_CHUNK = 200  # resamples at once: bounds memory at 200 x n
_KEPT = 20_000_000  # draws of this many rows in all are kept, 40 MB


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
class PairedComparison:
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
    rows = bootstrapped(resample(metric, group, seed).mean(axis=1))
    return within(combine(scores_of(metric, group), rows, len(group[0].ids)))


def compare(
    metric: str, name: str, candidate: Sequence[Predictions], other: Sequence[Predictions], shipped: tuple[int, int]
) -> PairedComparison:
    """Compare two groups over the same examples. `shipped` are the indices of the models that would ship.

    Raises ValueError if the examples differ.
    """
    if any(p.ids != candidate[0].ids for p in (*candidate, *other)):
        raise ValueError(f"{name}: not scored on the same examples as the candidate")
    if METRICS[candidate[0].kind][metric].mean:
        rows = paired_interval(_means(metric, candidate) - _means(metric, other))
    else:
        drawn = resample(metric, [*candidate, *other])
        rows = bootstrapped(drawn[:, : len(candidate)].mean(axis=1) - drawn[:, len(candidate) :].mean(axis=1))
    differences = paired(scores_of(metric, candidate), scores_of(metric, other))
    difference = combine(differences, rows, len(candidate[0].ids))
    mine, theirs = candidate[shipped[0]].quality, other[shipped[1]].quality
    wins, losses = int((mine > theirs).sum()), int((mine < theirs).sum())
    test = "McNemar" if candidate[0].kind == "single-label" else "sign test"
    return PairedComparison(name, difference, wins, losses, mcnemar(wins, losses), len(mine), test)


def scores_of(metric: str, group: Sequence[Predictions]) -> np.ndarray:
    """The metric of each model of a group."""
    return np.array([measure(metric, p) for p in group])


def paired(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Differences seed by seed. A single model is paired with every seed of the other side."""
    count = max(len(one), len(two))
    places = np.arange(count)
    return one[places % len(one)] - two[places % len(two)]


def _means(metric: str, group: Sequence[Predictions]) -> np.ndarray:
    """Each example's number, of which the metric is the mean, averaged over the models of a group, (n,)."""
    return np.mean([evidence_of(metric, p)[:, 0] for p in group], axis=0)


def bootstrapped(resampled: np.ndarray) -> tuple[float, float]:
    """Percentile interval of a figure from its values in resamples of the examples."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def combine(per_seed: np.ndarray, limits: tuple[float, float], rows: int) -> Interval:
    """Mean of figures (one for each seed) with its interval.

    `limits` are those of the uncertainty over so many rows. No limit is nearer to the mean than that many rows allow, because a
    bootstrap without variation proves nothing.
    """
    value = float(per_seed.mean())
    std = seeds_error(per_seed) * student(len(per_seed), (1 + LEVEL) / 2)
    least = least_distance(rows)
    down, up = max(least, value - limits[0]), max(least, limits[1] - value)
    return Interval(value, value - float(np.hypot(down, std)), value + float(np.hypot(up, std)))


def within(interval: Interval) -> Interval:
    """A score's interval, cut at the best there is: no metric exceeds 1."""
    return Interval(interval.value, interval.low, min(interval.high, 1.0))


def seeds_error(per_seed: np.ndarray) -> float:
    """Standard error of a mean over seeds. 0 for one seed, because its error is unknown."""
    count = len(per_seed)
    return float(per_seed.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0


def student(count: int, quantile: float) -> float:
    """Student's quantile for a mean over so many seeds."""
    from scipy.special import stdtrit  # scipy.stats is a second of imports

    return float(stdtrit(max(1, count - 1), quantile))


def mcnemar(wins: int, losses: int) -> float:
    """p of McNemar's test (1947) that two classifiers err equally often: exact below 26 discordant pairs.

    Where an answer is more than right or wrong this is the sign test over the examples on which the two differ.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    if wins + losses == 0:
        return 1.0
    return float(test([[0, wins], [losses, 0]], exact=wins + losses < 26, correction=True).pvalue)


def resample(metric: str, models: Sequence[Predictions], seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """The metric of each model in resamples of the examples, (resamples, models). All models share the draws."""
    of_resample = METRICS[models[0].kind][metric].score
    evidence = [evidence_of(metric, p) for p in models]
    parts = [
        np.stack([of_resample(one, counts) for one in evidence], axis=1)
        for counts in _draws(len(models[0].y_true), seed, resamples)
    ]
    return np.concatenate(parts)


def _draws(rows: int, seed: int, resamples: int) -> Iterable[np.ndarray]:
    """How often each resample drew each row, (up to _CHUNK, rows) at a time. Small ones are kept: every score asks for the same."""
    return _kept(rows, seed, resamples) if rows * resamples <= _KEPT else _drawn(rows, seed, resamples)


@lru_cache(maxsize=2)
def _kept(rows: int, seed: int, resamples: int) -> tuple[np.ndarray, ...]:
    return tuple(_drawn(rows, seed, resamples))


def _drawn(rows: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        examples = rng.integers(0, rows, (min(_CHUNK, resamples - start), rows))
        places = examples + rows * np.arange(len(examples))[:, None]
        counts = np.bincount(places.ravel(), minlength=places.size)
        yield counts.reshape(examples.shape).astype(np.uint16)
