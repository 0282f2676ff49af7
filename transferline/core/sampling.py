"""An endless row of shuffled epochs: which examples of a source belong to a step, a function of the seed and the place alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Endless:
    """Draw examples 0 .. size - 1 in one random order after another. A resumed run draws the same ones."""

    def __init__(self, size: int, seed: Sequence[int]) -> None:
        self.size, self.seed = size, list(seed)
        self.orders: dict[int, np.ndarray] = {}

    def take(self, start: int, stop: int) -> list[int]:
        """The examples at some places of the row."""
        return [int(self._order(place // self.size)[place % self.size]) for place in range(start, stop)]

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self.orders:
            self.orders = {e: order for e, order in self.orders.items() if e == epoch - 1}  # earlier ones are over
            self.orders[epoch] = np.random.default_rng([*self.seed, epoch]).permutation(self.size)
        return self.orders[epoch]
