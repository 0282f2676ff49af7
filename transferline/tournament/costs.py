"""What models cost, as their lineages recorded it: added up along a chain, and up to the moment a score was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Lineages = Mapping[str, Mapping[str, Any]]
"""key -> lineage of a checkpoint"""


@dataclass(frozen=True)
class Cost:
    """Of making one model from its base: FLOPs, tokens, seconds, bytes at the peak. NaN where a stage kept no record."""

    flops: float
    tokens: float
    seconds: float
    peak_bytes: float

    @staticmethod
    def mean(costs: Sequence[Cost]) -> Cost:
        """Of several seeds."""
        rows = np.array([[c.flops, c.tokens, c.seconds, c.peak_bytes] for c in costs])
        return Cost(*(float(value) for value in rows.mean(axis=0)))


def chain_cost(keys: Sequence[str], lineages: Lineages) -> Cost:
    """The cost of a chain of stages; work that other models share counts in full for each of them."""
    rows = [lineages[key].get("cost") for key in keys]
    if any(row is None for row in rows):
        return Cost(*[float("nan")] * 4)
    known = [row for row in rows if row is not None]
    flops, tokens, seconds = (float(sum(row[name] for row in known)) for name in ("flops", "tokens", "seconds"))
    return Cost(flops, tokens, seconds, float(max((row["peak_bytes"] for row in known), default=0.0)))


@dataclass(frozen=True)
class Reached:
    """When a model first scored on validation what another had scored in the end; infinite where it never did."""

    flops: float
    seconds: float


def reached(keys: Sequence[str], lineages: Lineages, score: float) -> Reached:
    """What the last stage of a chain had cost, with all before it, when its validation score first reached `score`."""
    before = chain_cost(keys[:-1], lineages)
    last = lineages[keys[-1]]
    cost = last.get("cost")
    if cost is None:
        return Reached(float("nan"), float("nan"))
    points = [*cost.get("curve", [])] or [{**cost, "score": last["summary"].get("score", float("-inf"))}]
    for point in points:
        if point["score"] >= score:
            return Reached(before.flops + point["flops"], before.seconds + point["seconds"])
    return Reached(float("inf"), float("inf"))
