"""Intervals of a mean paired difference that prove nothing from silence.

Where two models agree on every row, a bootstrap gives an interval of width zero, whatever the number of rows. These intervals do
not.
"""

from __future__ import annotations

import numpy as np

LEVEL = 0.95
FEW = 26  # below so many rows that differ, the exact sign test is asked as well


def normal_quantile() -> float:
    """Standard normal quantile of a two-sided interval."""
    from scipy.special import ndtri  # scipy.stats is a second of imports

    return float(ndtri((1 + LEVEL) / 2))


def least_distance(rows: int) -> float:
    """Least distance of a limit from the estimate with so many rows.

    It is the half-width of Bonett and Price's interval where no row differs: two rows are added, one won and one lost.
    """
    return float(normal_quantile() * np.sqrt(2) / (rows + 2))


def paired_interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of differences (n,) of paired rows, each within [-1, 1].

    For differences of -1, 0 and 1, that is for two models that are right or wrong, it is Tango's score interval. Else, as for
    means over seeds, it is Bonett and Price's. With few rows that differ it also covers the exact interval of the sign test given
    their number.
    """
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    discordant = differences[differences != 0]
    whole = bool((np.abs(discordant) == 1).all())
    low, high = tango(won, lost, len(differences)) if whole else bonett_price(differences)
    if 0 < len(discordant) < FEW:
        share = float(np.abs(discordant).sum()) / len(differences)
        exact = [share * (2 * limit - 1) for limit in _clopper_pearson(won, won + lost)]
        low, high = min(low, exact[0]), max(high, exact[1])
    return low, high


def tango(won: int, lost: int, rows: int) -> tuple[float, float]:
    """Score interval of the difference of two paired proportions, (won - lost) / rows.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design" (1998),
    section 3.
    """
    from scipy.optimize import brentq

    z, value = normal_quantile(), (won - lost) / rows

    def gap(difference: float, sign: int) -> float:
        return _score(won, lost, rows, difference) - sign * z

    # the score falls with the difference: it is 0 at the estimate, and beyond z before -1 and 1
    end = 1 - 1e-12
    low = -1.0 if value <= -end or gap(-end, 1) < 0 else float(brentq(gap, -end, min(value, end), args=(1,)))
    high = 1.0 if value >= end or gap(end, -1) > 0 else float(brentq(gap, max(value, -end), end, args=(-1,)))
    return low, high


def _score(won: int, lost: int, rows: int, difference: float) -> float:
    """Tango's statistic of a difference: standard normal if it is the true one."""
    a, b = 2 * rows, -won - lost + (2 * rows - won + lost) * difference
    c = -lost * difference * (1 - difference)
    losing = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)  # the likeliest share of lost rows
    variance = rows * (2 * losing + difference * (1 - difference))
    distance = won - lost - rows * difference
    return (
        float(distance / np.sqrt(variance))
        if variance > 0
        else float(np.copysign(np.inf, distance))
        if distance
        else 0.0
    )


def bonett_price(differences: np.ndarray) -> tuple[float, float]:
    """Adjusted Wald interval: two rows are added, one won and one lost.

    Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data" (2012).
    """
    every = np.concatenate([differences, [1.0, -1.0]])
    half = normal_quantile() * float(np.sqrt(every.var() / len(every)))
    mean = float(every.mean())
    return max(mean - half, -1.0), min(mean + half, 1.0)


def _clopper_pearson(right: int, rows: int) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1 - LEVEL) / 2
    low = float(betaincinv(right, rows - right + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, rows - right, 1 - tail)) if right < rows else 1.0
    return low, high
