"""How far apart two domains are, seen through their texts and through a model's features of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from transferline.evaluation.drift import proxy_a_distance

_WORD = re.compile(r"\w+")
MOST_WORDS = 10_000  # most frequent words that are compared (Gururangan et al. 2020, section 3.1)
PERMUTATIONS = 200


@dataclass(frozen=True)
class Divergence:
    """Of a domain from another."""

    vocabulary: float
    """share of the frequent words that both have (Gururangan et al. 2020, figure 2), 0 to 1"""
    unseen: float
    """share of the second's words that the first does not have, 0 to 1"""
    distance: float
    """proxy A-distance of the features, 0 (nobody can tell them apart) to 2"""
    chance: float
    """probability of such a distance if both were one"""
    mmd: float
    """maximum mean discrepancy of the features, squared and unbiased: about 0 where both are one"""
    mmd_chance: float
    """its probability if both were one, by permutation"""

    def flat(self) -> dict[str, float]:
        return {name: float(value) for name, value in asdict(self).items()}


def measure_divergence(one: Sequence[str], other: Sequence[str], features: tuple[np.ndarray, np.ndarray]) -> Divergence:
    """Divergence of `other` from `one`: texts, and features (n, d), (m, d) of as many of them."""
    distance, chance = proxy_a_distance(*features)
    discrepancy, mmd_chance = mmd_test(*features)
    known, new = words_of(one), words_of(other)
    unseen = sum(count for word, count in new.items() if word not in known) / max(1, sum(new.values()))
    return Divergence(overlap(known, new), unseen, distance, chance, discrepancy, mmd_chance)


def words_of(texts: Sequence[str]) -> Counter[str]:
    return Counter(word for text in texts for word in _WORD.findall(text.lower()))


def overlap(one: Counter[str], other: Counter[str]) -> float:
    """Share of words that the most frequent of both have in common."""
    most = min(MOST_WORDS, len(one), len(other))
    top = ({word for word, _ in words.most_common(most)} for words in (one, other))
    return len(set.intersection(*top)) / max(1, most)


def mmd_test(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """(unbiased squared discrepancy, p value under one distribution), with a Gaussian kernel of the median distance.

    Gretton et al., "A Kernel Two-Sample Test" (2012), equation 3 and section 5. The p value is from permutations of the two
    samples.
    """
    from scipy.spatial.distance import cdist

    both = np.concatenate([one, other])
    squared = cdist(both, both, "sqeuclidean")
    kernel = np.exp(-squared / max(float(np.median(squared[squared > 0])) if (squared > 0).any() else 1.0, 1e-12))
    np.fill_diagonal(kernel, 0.0)
    side = np.repeat([True, False], [len(one), len(other)])
    value = _discrepancy(kernel, side)
    rng = np.random.default_rng(0)
    beaten = sum(_discrepancy(kernel, rng.permutation(side)) >= value for _ in range(PERMUTATIONS))
    return value, (beaten + 1) / (PERMUTATIONS + 1)


def _discrepancy(kernel: np.ndarray, side: np.ndarray) -> float:
    n, m = int(side.sum()), int((~side).sum())
    by_side = kernel @ side.astype(float)
    own = float(by_side[side].sum())
    across = float(by_side[~side].sum())
    other = float(kernel.sum()) - own - 2 * across
    return own / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)
