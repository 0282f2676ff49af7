"""Statistics of a tournament: paired differences with p values, non-inferiority, ties, and the minimum detectable difference.

An interval combines the uncertainty over examples and over seeds, as in evaluation/significance.py. A p value is the level at which
that interval would just reach the tested value, so tests and intervals never contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from transferline.evaluation.paired_intervals import LEVEL, least_distance, normal_quantile
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import (
    Interval,
    bootstrapped,
    combine,
    paired,
    resample,
    scores_of,
    seeds_error,
    within,
)

RESAMPLES = 1000
POWER = 0.8  # power of the minimum detectable difference (Cohen 1988)


@dataclass(frozen=True)
class Difference:
    """Difference of one group minus another: its interval, its two standard errors, and the number of seeds."""

    interval: Interval
    examples_error: float
    seeds_error: float
    seeds: int

    @property
    def value(self) -> float:
        return self.interval.value

    @property
    def p(self) -> float:
        """Two-sided p value of no difference."""
        return self.level(self.value) if self.value else 1.0

    def p_not_below(self, margin: float) -> float:
        """One-sided p value of being worse by more than a margin (non-inferiority test)."""
        half = self.level(self.value + margin) / 2
        return half if self.value > -margin else 1 - half

    def level(self, distance: float) -> float:
        """The two-sided level at which the interval has a half-width of `distance`, 1e-12 at least."""
        from scipy.optimize import brentq
        from scipy.stats import norm, t

        def gap(log_level: float) -> float:
            tail = np.exp(log_level) / 2
            normal = norm.isf(tail) * self.examples_error
            std = t.isf(tail, max(1, self.seeds - 1)) * self.seeds_error
            return float(np.hypot(normal, std) - abs(distance))

        # solved on the log scale, where small levels are as accurate as large ones
        smallest = np.log(1e-12)
        if gap(smallest) < 0:
            return 1e-12
        return float(np.exp(brentq(gap, smallest, 0.0))) if distance else 1.0

    @property
    def detectable(self) -> float:
        """The minimum detectable difference with 80 % power at the 5 % level."""
        from scipy.stats import norm, t

        tail = (1 - LEVEL) / 2
        half = np.hypot(norm.isf(tail) * self.examples_error, t.isf(tail, max(1, self.seeds - 1)) * self.seeds_error)
        return float(half + norm.ppf(POWER) * np.hypot(self.examples_error, self.seeds_error))


@dataclass(frozen=True)
class Scores:
    """Scores of groups of models (one model per seed) on the same examples and in the same resamples of them."""

    metric: str
    models: Mapping[str, Sequence[Predictions]]
    """group -> predictions, one per seed"""

    @cached_property
    def points(self) -> dict[str, np.ndarray]:
        """The metric of each model of each group, (seeds,)."""
        return {name: scores_of(self.metric, group) for name, group in self.models.items()}

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The metric in resamples of the examples, (resamples, seeds) for each group. All groups share the resamples."""
        flat = [one for group in self.models.values() for one in group]
        if any(one.ids != flat[0].ids for one in flat):
            raise ValueError("the models were not scored on the same examples")
        everything = resample(self.metric, flat, resamples=RESAMPLES)
        ends = np.cumsum([len(group) for group in self.models.values()])
        return dict(zip(self.models, np.split(everything, ends[:-1], axis=1), strict=True))

    @property
    def rows(self) -> int:
        """Number of examples."""
        return len(next(iter(self.models.values()))[0].ids)

    def interval(self, group: str) -> Interval:
        """A group's mean score with its interval."""
        return within(combine(self.points[group], bootstrapped(self.drawn[group].mean(axis=1)), self.rows))

    def difference(self, one: str, other: str) -> Difference:
        """The difference of one group minus another, paired by example and by seed."""
        per_seed = paired(self.points[one], self.points[other])
        resampled = self.drawn[one].mean(axis=1) - self.drawn[other].mean(axis=1)
        interval = combine(per_seed, bootstrapped(resampled), self.rows)
        error = max(float(resampled.std(ddof=1)), least_distance(self.rows) / normal_quantile())
        return Difference(interval, error, seeds_error(per_seed), len(per_seed))

    def draws(self, groups: Sequence[str], seed: int = 0) -> dict[str, np.ndarray]:
        """Each group's score in joint resamples of examples and seeds, (resamples,).

        Each resample draws n - 1 of n seeds (Rao & Wu 1988), because drawing n would understate their variance by 1 / n.
        """
        rng = np.random.default_rng(seed)
        count = max(len(self.models[name]) for name in groups)
        places = rng.integers(0, count, (RESAMPLES, max(1, count - 1)))
        made = {}
        for name in groups:
            values = self.drawn[name]
            made[name] = np.take_along_axis(values, places % values.shape[1], axis=1).mean(axis=1)
        return made


def chances(scores: Scores, groups: Sequence[str]) -> dict[str, float]:
    """Share of joint resamples of examples and seeds in which each group has the best score."""
    draws = scores.draws(groups)
    every = np.stack([draws[name] for name in groups])
    best = every == every.max(axis=0)
    shares = (best / best.sum(axis=0)).mean(axis=1)  # groups that tie for the best share the resample
    return {name: float(share) for name, share in zip(groups, shares, strict=True)}


def improvement(one: np.ndarray, two: np.ndarray) -> float:
    """Probability of improvement: share of pairs of seeds in which the first method scores higher. Ties count half.

    This is the Mann-Whitney U statistic divided by its maximum, recommended for few runs by Agarwal et al., "Deep RL at the edge of
    the statistical precipice" (2021), section 4.3.
    """
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(one, two).statistic / (len(one) * len(two)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p values for multiple comparisons by Holm's method (1979), which controls the family-wise error rate."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return {}
    corrected = multipletests(list(p_values.values()), method="holm")[1]
    return {name: float(p) for name, p in zip(p_values, corrected, strict=True)}


def expected_effect(rows: int, disagreement: float = 0.2) -> float:
    """The minimum detectable difference in accuracy of a test with `rows` rows, at 80 % power, before anything is built.

    It is for McNemar's test of two models that disagree on a share of the rows (Connor 1987). Variance over seeds is not included.
    """
    from scipy.stats import norm

    return float((norm.isf((1 - LEVEL) / 2) + norm.ppf(POWER)) * np.sqrt(disagreement / rows))
