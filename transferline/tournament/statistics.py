"""What a tournament's scores are worth: paired differences with p values, non-inferiority, ties, and what the test can show at all.

The two parts of an interval, examples and seeds, are those of evaluation/significance.py. A p value is the level at which
the interval that they make would just reach the value in question, so that tests and intervals never contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import (
    LEVEL,
    Interval,
    combine,
    paired,
    resample,
    scores_of,
    seeds_error,
    within,
)

RESAMPLES = 1000
POWER = 0.8  # at which the minimum detectable effect is stated (Cohen 1988)


@dataclass(frozen=True)
class Difference:
    """One minus other: interval, the two standard errors behind it, and over how many seeds."""

    interval: Interval
    examples_error: float
    seeds_error: float
    seeds: int

    @property
    def value(self) -> float:
        return self.interval.value

    @property
    def p(self) -> float:
        """Two-sided: of there being no difference."""
        return self.level(self.value) if self.value else 1.0

    def p_not_below(self, margin: float) -> float:
        """One-sided: of one being worse than other by more than a margin (non-inferiority)."""
        half = self.level(self.value + margin) / 2
        return half if self.value > -margin else 1 - half

    def p_equivalent(self, margin: float) -> float:
        """Two one-sided tests (Schuirmann 1987): of the two differing by more than a margin, either way."""
        half = self.level(margin - self.value) / 2
        return max(self.p_not_below(margin), half if self.value < margin else 1 - half)

    def level(self, distance: float) -> float:
        """The two-sided level at which an interval has this half-width."""
        from scipy.optimize import brentq
        from scipy.stats import norm, t

        if self.examples_error == 0 and self.seeds_error == 0:
            return 1.0 if distance == 0 else 0.0

        def gap(log_level: float) -> float:
            tail = np.exp(log_level) / 2
            normal = norm.isf(tail) * self.examples_error
            std = t.isf(tail, max(1, self.seeds - 1)) * self.seeds_error
            return float(np.hypot(normal, std) - abs(distance))

        least = np.log(1e-12)
        if gap(least) < 0:
            return 1e-12
        return float(np.exp(brentq(gap, least, 0.0))) if distance else 1.0

    @property
    def detectable(self) -> float:
        """The smallest difference that would be found with a power of 80 %, at the 5 % level."""
        from scipy.stats import norm, t

        tail = (1 - LEVEL) / 2
        half = np.hypot(norm.isf(tail) * self.examples_error, t.isf(tail, max(1, self.seeds - 1)) * self.seeds_error)
        return float(half + norm.ppf(POWER) * np.hypot(self.examples_error, self.seeds_error))


@dataclass(frozen=True)
class Scores:
    """Scores of many groups of models (one model a seed) on the same examples, and of each in the same resamples."""

    metric: str
    models: Mapping[str, Sequence[Predictions]]
    """group -> predictions, one a seed"""

    @cached_property
    def points(self) -> dict[str, np.ndarray]:
        """The metric of each model of each group, (seeds,)."""
        return {name: scores_of(self.metric, group) for name, group in self.models.items()}

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """The metric in resamples of the examples, (resamples, seeds), the same draws for every group."""
        flat = [one for group in self.models.values() for one in group]
        if any(one.ids != flat[0].ids for one in flat):
            raise ValueError("not all models were scored on the same examples")
        everything = resample(self.metric, flat, resamples=RESAMPLES)
        ends = np.cumsum([len(group) for group in self.models.values()])
        return dict(zip(self.models, np.split(everything, ends[:-1], axis=1), strict=True))

    def interval(self, group: str) -> Interval:
        """A group's mean score."""
        return within(combine(self.points[group], self.drawn[group].mean(axis=1)))

    def difference(self, one: str, other: str) -> Difference:
        """One group minus another, paired by example and by seed."""
        per_seed = paired(self.points[one], self.points[other])
        resampled = self.drawn[one].mean(axis=1) - self.drawn[other].mean(axis=1)
        interval = combine(per_seed, resampled)
        return Difference(interval, float(resampled.std(ddof=1)), seeds_error(per_seed), len(per_seed))

    def draws(self, groups: Sequence[str], seed: int = 0) -> dict[str, np.ndarray]:
        """Each group's score in joint resamples of examples and seeds, (resamples,).

        One seed fewer is drawn than there are (Rao & Wu 1988): a bootstrap of all of them understates their spread by 1 / n.
        """
        rng = np.random.default_rng(seed)
        count = max(len(self.models[name]) for name in groups)
        places = rng.integers(0, count, (RESAMPLES, max(1, count - 1)))
        made = {}
        for name in groups:
            values = self.drawn[name]
            made[name] = np.take_along_axis(values, places % values.shape[1], axis=1).mean(axis=1)
        return made


def improvement(one: np.ndarray, two: np.ndarray) -> float:
    """Probability that a run of one method scores above a run of another, over all pairs of seeds; ties count half.

    Mann & Whitney's U over its maximum, as Agarwal et al. (2021, "Deep RL at the edge of the statistical precipice",
    section 4.3) use it for few runs.
    """
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(one, two).statistic / (len(one) * len(two)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number (Holm 1979): the chance of a single false finding among all stays at the level."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return {}
    corrected = multipletests(list(p_values.values()), method="holm")[1]
    return {name: float(p) for name, p in zip(p_values, corrected, strict=True)}


def expected_effect(rows: int, disagreement: float = 0.2) -> float:
    """The smallest difference in accuracy that a test of so many rows shows with 80 % power, known before anything is built.

    For two models that disagree on a share of the rows, by McNemar's test (Connor 1987). A seed's luck comes on top.
    """
    from scipy.stats import norm

    return float((norm.isf((1 - LEVEL) / 2) + norm.ppf(POWER)) * np.sqrt(disagreement / rows))
