"""The leaderboard: every entry's score with its interval and cost, compared with the winner, the control, and its twin.

The winner is chosen on validation. The test is looked at once, afterwards: it says what the choice is worth, and never who
is chosen. Every family of comparisons (with winner, control, twins, "as good and cheaper") is corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from transferline.data.fingerprints import unseen
from transferline.evaluation.calibration import calibration_error
from transferline.evaluation.metrics import measure
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import Interval
from transferline.tournament.costs import Cost, Lineages, chain_cost, reached
from transferline.tournament.curves import group
from transferline.tournament.plan import MAJORITY, SCRATCH, TFIDF, Leaf, Tournament
from transferline.tournament.statistics import Difference, Scores, holm, improvement

NO_TRANSFER = (SCRATCH, TFIDF, MAJORITY)
LEVEL = 0.05

Finding = Literal["winner", "tie", "worse", "better", "leaked"]


@dataclass(frozen=True)
class Against:
    """An entry compared with another: the difference, p corrected for the family, and how often a run of it is better."""

    other: str
    difference: Difference
    p: float
    improvement: float

    @property
    def better(self) -> bool:
        return self.p < LEVEL and self.difference.value > 0

    @property
    def worse(self) -> bool:
        return self.p < LEVEL and self.difference.value < 0


@dataclass(frozen=True)
class BoardRow:
    """One entry with all labels."""

    entry: str
    about: str
    control: bool
    added: bool
    validation: float
    score: Interval
    seeds: int
    cost: Cost
    latency_ms: float
    megabytes: float
    calibration: float | None
    finding: Finding
    against_winner: Against | None = None
    against_control: Against | None = None
    against_twin: Against | None = None
    as_good: float | None = None
    """p, corrected, of being worse than the winner by more than the margin; where it is cheaper"""
    chance: float = 0.0
    """probability to be the best of all on such a test"""
    sooner: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """control -> how many times fewer FLOPs and seconds it takes to reach that control's validation score"""

    @property
    def as_good_and_cheaper(self) -> bool:
        return self.as_good is not None and self.as_good < LEVEL


@dataclass(frozen=True)
class Evidence:
    """Everything that is known of a tournament once its leaves are built and scored."""

    tournament: Tournament
    metric: str
    margin: float
    test: Mapping[str, Predictions]
    """key of a leaf -> its predictions"""
    validation: Mapping[str, Predictions]
    """the same, of the leaves with all labels"""
    lineages: Lineages
    figures: Mapping[str, Mapping[str, float]]
    """key of a leaf -> latency_ms, model_bytes"""
    folders: Mapping[str, Path]

    def leaves(self, entry: str, budget: int | None = None) -> tuple[Leaf, ...]:
        return tuple(leaf for leaf in self.tournament.group(entry, budget) if leaf.key in self.test)

    def entries(self) -> list[str]:
        """Entries that were built with all labels."""
        return [name for name in self.tournament.entries if self.leaves(name)]

    def scores(self) -> Scores:
        """Every entry at every budget, on the test."""
        budgets = self.tournament.ground.budgets
        groups = {
            group(e, b): [self.test[leaf.key] for leaf in self.leaves(e, b)] for e in self.entries() for b in budgets
        }
        return Scores(self.metric, {name: models for name, models in groups.items() if models})

    def validated(self, entry: str) -> float:
        """Mean of the metric on validation, over the seeds with all labels."""
        return float(np.mean([measure(self.metric, self.validation[leaf.key]) for leaf in self.leaves(entry)]))

    def shipped(self, entry: str) -> Leaf:
        """The seed that would ship: the best on validation."""
        return max(self.leaves(entry), key=lambda leaf: (measure(self.metric, self.validation[leaf.key]), -leaf.seed))

    def leaked(self, entry: str) -> int:
        """How many test rows some model of an entry has been trained or selected on."""
        ids = next(iter(self.test.values())).ids
        return max(int((~unseen(ids, self.folders[leaf.key])).sum()) for leaf in self.leaves(entry))

    def cost(self, entry: str) -> Cost:
        """The mean over seeds of what one model of an entry costs from its base on."""
        return Cost.mean([chain_cost(self.keys(leaf), self.lineages) for leaf in self.leaves(entry)])

    def keys(self, leaf: Leaf) -> list[str]:
        """The stages that made a leaf, itself last; without bases and label subsets, which compute nothing."""
        steps = self.tournament.chain_of(leaf)
        keys = [s.key for s in steps if s.kind != "base" and getattr(s.stage, "method", "") != "labels"]
        return [*(key for key in keys if key != leaf.key), leaf.key]


@dataclass(frozen=True)
class Board:
    """The leaderboard, best on validation first, and who is who on it."""

    rows: Mapping[str, BoardRow]
    winner: str
    control: str
    """the strongest control without transfer, by validation"""
    scores: Scores
    budgets: Sequence[int]
    detectable: float
    """the smallest difference that this test and these seeds show: the median over all pairs with the winner"""

    @property
    def best(self) -> BoardRow:
        return self.rows[self.winner]

    def negative(self) -> dict[str, str]:
        """Entries whose transfer hurts: name -> what they lost to (the same without adaptation, or a control without transfer)."""
        lost = {}
        for name, row in self.rows.items():
            to = [a.other for a in (row.against_twin, row.against_control) if a is not None and a.worse]
            if to and name not in NO_TRANSFER:
                lost[name] = " and ".join(to)
        return lost


def make_board(evidence: Evidence) -> Board:
    """Choose on validation, then compare on the test. Raises ValueError where every entry is leaky."""
    names = evidence.entries()
    leaked = {name: evidence.leaked(name) for name in names}
    validated = {name: evidence.validated(name) for name in names}
    fit = [name for name in names if not leaked[name] and evidence.tournament.entries[name].recipe is not None]
    if not fit:
        raise ValueError("every recipe has seen rows of this test; nothing can be compared")
    costs = {name: evidence.cost(name) for name in names}
    winner = max(fit, key=lambda name: (round(validated[name], 9), -np.nan_to_num(costs[name].flops)))
    control = max((n for n in NO_TRANSFER if n in names), key=lambda name: validated[name])
    scores, full = evidence.scores(), evidence.tournament.ground.rows
    honest = [name for name in names if not leaked[name]]

    def against(pairs: Mapping[str, str]) -> dict[str, Against]:
        made = {one: scores.difference(group(one, full), group(other, full)) for one, other in pairs.items()}
        p = holm({name: difference.p for name, difference in made.items()})
        points = scores.points
        return {
            name: Against(
                pairs[name], one, p[name], improvement(points[group(name, full)], points[group(pairs[name], full)])
            )
            for name, one in made.items()
        }

    entries = evidence.tournament.entries
    others = against({name: winner for name in honest if name != winner})
    controls = against({name: control for name in honest if name not in NO_TRANSFER})
    twins = against({n: t for n in honest if (t := entries[n].twin) is not None and t in honest})
    cheaper = {
        name: other.difference.p_not_below(evidence.margin)
        for name, other in others.items()
        if entries[name].recipe is not None and costs[name].flops < costs[winner].flops
    }
    as_good = holm(cheaper)
    chance = _chances(scores, [group(name, full) for name in honest])
    rows = {}
    for name in sorted(names, key=lambda name: (-validated[name], name)):
        shipped = evidence.shipped(name)
        figures = evidence.figures[shipped.key]
        finding: Finding = "winner" if name == winner else "tie"
        if leaked[name]:
            finding = "leaked"
        elif name in others and (others[name].better or others[name].worse):
            finding = "better" if others[name].better else "worse"
        recipe = entries[name].recipe
        rows[name] = BoardRow(
            name,
            recipe.about if recipe else _ABOUT[name],
            entries[name].control,
            entries[name].added,
            validated[name],
            scores.interval(group(name, full)),
            len(evidence.leaves(name)),
            costs[name],
            figures.get("latency_ms", 0.0),
            figures.get("model_bytes", 0.0) / 1e6,
            calibration_error(evidence.test[shipped.key]),
            finding,
            others.get(name),
            controls.get(name),
            twins.get(name),
            as_good.get(name),
            chance.get(group(name, full), 0.0),
            _sooner(evidence, name, costs),
        )
    detectable = float(np.median([one.difference.detectable for one in others.values()] or [float("nan")]))
    return Board(rows, winner, control, scores, evidence.tournament.ground.budgets, detectable)


_ABOUT = {
    SCRATCH: "the same network, its weights random",
    TFIDF: "TF-IDF and a linear model",
    MAJORITY: "the most frequent answer to everything",
}


def _chances(scores: Scores, groups: Sequence[str]) -> dict[str, float]:
    """How often each group has the best score in joint resamples of examples and seeds."""
    draws = scores.draws(groups)
    every = np.stack([draws[name] for name in groups])
    best = every == every.max(axis=0)
    shares = (best / best.sum(axis=0)).mean(axis=1)  # several that are best together share the draw
    return {name: float(share) for name, share in zip(groups, shares, strict=True)}


def _sooner(evidence: Evidence, name: str, costs: Mapping[str, Cost]) -> dict[str, tuple[float, float]]:
    """FLOPs and seconds of each control over what it took this entry to reach the control's validation score."""
    found = {}
    for control in (SCRATCH, TFIDF):
        if control not in costs or name in NO_TRANSFER:
            continue
        score = float(np.mean([evidence.lineages[leaf.key]["summary"]["score"] for leaf in evidence.leaves(control)]))
        times = [reached(evidence.keys(leaf), evidence.lineages, score) for leaf in evidence.leaves(name)]
        flops, seconds = float(np.mean([t.flops for t in times])), float(np.mean([t.seconds for t in times]))
        if np.isfinite(seconds) and seconds > 0 and flops > 0:
            found[control] = (costs[control].flops / flops, costs[control].seconds / seconds)
    return found
