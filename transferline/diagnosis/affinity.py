"""Task affinities after Taskonomy: how well each source does for each target, compared with the other sources.

Zamir et al., "Taskonomy" (2018), section 3.3. Raw scores on different targets are not comparable. So the sources compete on the
examples of each target: entry (i, j) of a tournament is how often i beats j. The affinities are the principal eigenvector of the
ratios (Saaty's analytic hierarchy process).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CLIP = 0.001  # wins are kept away from nought and one (Zamir et al. 2018, section 3.3)


def affinities(likelihoods: Sequence[np.ndarray]) -> np.ndarray:
    """Affinity of each source, summing to one. `likelihoods` are each source's probabilities of the target's labels, (n,)."""
    count = len(likelihoods)
    wins = np.full((count, count), 0.5)
    for i in range(count):
        for j in range(count):
            if i != j:
                better = (likelihoods[i] > likelihoods[j]).mean() + 0.5 * (likelihoods[i] == likelihoods[j]).mean()
                wins[i, j] = better
    wins = np.clip(wins, CLIP, 1 - CLIP)
    values, vectors = np.linalg.eig(wins / wins.T)
    principal = np.abs(vectors[:, int(np.argmax(values.real))].real)
    return principal / principal.sum()
