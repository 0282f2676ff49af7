"""Costs of models from their recorded lineages: in total along a chain, and until a given score was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Lineages = Mapping[str, Mapping[str, Any]]
"""key -> lineage of a checkpoint"""


@dataclass(frozen=True)
class Cost:
    """Cost of one model from its base: FLOPs, tokens, seconds and peak memory in bytes. NaN if a stage has no record."""

    flops: float
    tokens: float
    seconds: float
    peak_bytes: float

    @staticmethod
    def mean(costs: Sequence[Cost]) -> Cost:
        """Mean cost over several seeds."""
        rows = np.array([[c.flops, c.tokens, c.seconds, c.peak_bytes] for c in costs])
        return Cost(*(float(value) for value in rows.mean(axis=0)))


def chain_cost(keys: Sequence[str], lineages: Lineages) -> Cost:
    """The total cost of a chain of stages, given by their keys. Stages shared with other models count in full."""
    rows = [lineages[key].get("cost") for key in keys]
    if any(row is None for row in rows):
        return Cost(*[float("nan")] * 4)
    known = [row for row in rows if row is not None]
    flops, tokens, seconds = (float(sum(row[name] for row in known)) for name in ("flops", "tokens", "seconds"))
    return Cost(flops, tokens, seconds, float(max((row["peak_bytes"] for row in known), default=0.0)))


@dataclass(frozen=True)
class Reached:
    """Cost until a model reached a given validation score. Infinite if it never did, NaN if a stage has no record."""

    flops: float
    seconds: float


def reached(keys: Sequence[str], lineages: Lineages, score: float) -> Reached:
    """The cost of a chain until its last stage first reached the validation score `score`."""
    before = chain_cost(keys[:-1], lineages)
    last = lineages[keys[-1]]
    cost = last.get("cost")
    if cost is None:
        return Reached(float("nan"), float("nan"))
    # methods without a training curve (a probe, for example) have their final score only
    points = [*cost.get("curve", [])] or [{**cost, "score": last["summary"].get("score", float("-inf"))}]
    for point in points:
        if point["score"] >= score:
            return Reached(before.flops + point["flops"], before.seconds + point["seconds"])
    return Reached(float("inf"), float("inf"))
