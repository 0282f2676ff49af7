"""Drift: does incoming text still come from the distribution that a model was made for?

Proxy A-distance (Ben-David et al. 2007, "Analysis of Representations for Domain Adaptation", section 4). A linear classifier is
trained to separate reference and stream by their embeddings. With held-out error e the distance is 2 (1 - 2 e): 0 if they cannot
be separated, 2 if they can be separated perfectly. Small samples are noisy, so the classifier's accuracy is tested against
chance. Only a distance above the threshold *and* beyond chance raises the alarm.

Vocabulary and label shift are reported beside it, by scipy: the Jensen-Shannon distance of two distributions (0 to 1), and a
chi-square test of the predicted labels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

CHANCE = 0.001  # probability of an alarm by luck alone that is accepted for the distance's own test
FOLDS = 5
LEAST = 100  # texts on either side below which the distance is mostly noise (benchmarks/README.md)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Drift:
    """How far a stream lies from its reference."""

    distance: float
    """proxy A-distance, 0 to 2"""
    chance: float
    """probability of such an accuracy if both came from one distribution"""
    vocabulary: float
    """Jensen-Shannon distance of the word frequencies, 0 to 1"""
    unseen: float
    """share of the stream's words that the reference does not have"""
    label_shift: float
    """Jensen-Shannon distance of the predicted labels' shares, 0 to 1"""
    label_chance: float
    """probability of such shares if both came from one distribution (chi-square)"""
    reference: int
    stream: int

    def alarm(self, threshold: float) -> bool:
        """Whether the stream has drifted: further than the threshold, and not by chance."""
        return self.distance > threshold and self.chance < CHANCE

    def flat(self) -> dict[str, float]:
        return {name: float(value) for name, value in asdict(self).items()}


def measure_drift(
    reference: Sequence[str],
    stream: Sequence[str],
    features: tuple[np.ndarray, np.ndarray],
    shares: tuple[np.ndarray, np.ndarray],
) -> Drift:
    """Drift of a stream: texts, their features (n, width), and counts of predicted labels, reference first each time."""
    from scipy.spatial.distance import jensenshannon

    distance, chance = proxy_a_distance(*features)
    known, new = (
        Counter(word for text in texts for word in _WORD.findall(text.lower())) for texts in (reference, stream)
    )
    words = sorted(known | new)
    vocabulary = jensenshannon([known[w] for w in words], [new[w] for w in words], base=2)
    unseen = sum(count for word, count in new.items() if word not in known) / max(1, sum(new.values()))
    return Drift(
        distance,
        chance,
        float(vocabulary),
        unseen,
        float(jensenshannon(*shares, base=2)),
        _label_chance(*shares),
        len(reference),
        len(stream),
    )


def proxy_a_distance(reference: np.ndarray, stream: np.ndarray) -> tuple[float, float]:
    """(distance, probability under one distribution) of two sets of features, shapes (n, width) and (m, width).

    The larger side is cut to the smaller's size, so that chance is one half.
    """
    from scipy.stats import binomtest
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    size = min(len(reference), len(stream))
    sides = [side[np.sort(rng.permutation(len(side))[:size])] for side in (reference, stream)]
    inputs, y_true = np.concatenate(sides), np.repeat([0, 1], size)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    right = int((cross_val_predict(classifier, inputs, y_true, cv=folds) == y_true).sum())
    error = 1 - right / len(y_true)
    chance = binomtest(right, len(y_true), 0.5, alternative="greater").pvalue
    return max(0.0, 2 * (1 - 2 * error)), float(chance)


def _label_chance(reference: np.ndarray, stream: np.ndarray) -> float:
    from scipy.stats import chi2_contingency

    table = np.stack([reference, stream])
    table = table[:, table.sum(axis=0) > 0]
    return float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0
