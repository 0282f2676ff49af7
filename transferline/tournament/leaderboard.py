"""The leaderboard: score, interval and cost of every entry, compared with the winner, the best control, and its twin.

The winner is chosen on validation. The test is used once, afterwards, to evaluate that choice, and never to choose. Each family of
comparisons (with the winner, the control, the twins, and "as good and cheaper") is corrected by Holm's method.
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
from transferline.evaluation.predictions import Predictions, over_one_list
from transferline.evaluation.significance import Interval
from transferline.evaluation.verdict import MAJORITY, NO_TRANSFER, SCRATCH, TFIDF, outcome
from transferline.tournament.costs import Cost, Lineages, chain_cost, reached
from transferline.tournament.curves import group
from transferline.tournament.plan import Leaf, Tournament
from transferline.tournament.statistics import Difference, Scores, chances, holm, improvement

LEVEL = 0.05

Standing = Literal["winner", "tie", "worse", "better", "leaked"]


@dataclass(frozen=True)
class Against:
    """Comparison with another entry. `p` is corrected for its family, `improvement` the probability that a run scores higher."""

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
    finding: Standing
    against_winner: Against | None = None
    against_control: Against | None = None
    against_twin: Against | None = None
    as_good: float | None = None
    """corrected p value of being worse than the winner by more than the margin; for cheaper entries only"""
    chance: float = 0.0
    """probability of being the best entry on such a test"""
    sooner: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """control -> factors of fewer FLOPs and seconds to reach that control's final validation score"""

    @property
    def as_good_and_cheaper(self) -> bool:
        return self.as_good is not None and self.as_good < LEVEL


@dataclass(frozen=True)
class Evidence:
    """Results of a tournament after its models were built and evaluated."""

    tournament: Tournament
    metric: str
    margin: float
    test: Mapping[str, Predictions]
    """key of a leaf -> its predictions on the test"""
    validation: Mapping[str, Predictions]
    """key of a leaf with all labels -> its predictions on validation"""
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
        """Test scores of every entry at every label budget."""
        budgets = self.tournament.ground.budgets
        pairs = [(entry, budget) for entry in self.entries() for budget in budgets]
        test = dict(zip(self.test, over_one_list([*self.test.values()]), strict=True))
        groups = {group(e, b): [test[leaf.key] for leaf in self.leaves(e, b)] for e, b in pairs}
        return Scores(self.metric, {name: models for name, models in groups.items() if models})

    def validated(self, entry: str) -> float:
        """Mean validation score over the seeds of an entry with all labels."""
        return float(np.mean([measure(self.metric, self.validation[leaf.key]) for leaf in self.leaves(entry)]))

    def shipped(self, entry: str) -> Leaf:
        """The model of an entry to ship: the seed with the best validation score."""
        return max(self.leaves(entry), key=lambda leaf: (measure(self.metric, self.validation[leaf.key]), -leaf.seed))

    def leaked(self, entry: str) -> int:
        """Number of test rows that a model of an entry was trained or selected on; the maximum over its models."""
        ids = next(iter(self.test.values())).ids
        return max(int((~unseen(ids, self.folders[leaf.key])).sum()) for leaf in self.leaves(entry))

    def cost(self, entry: str) -> Cost:
        """Cost of one model of an entry from its base, as the mean over seeds."""
        return Cost.mean([chain_cost(self.keys(leaf), self.lineages) for leaf in self.leaves(entry)])

    def keys(self, leaf: Leaf) -> list[str]:
        """Keys of the stages that built a leaf, its own last. Bases and label subsets cost nothing and are left out."""
        steps = self.tournament.chain_of(leaf)
        keys = [s.key for s in steps if s.kind != "base" and getattr(s.stage, "method", "") != "labels"]
        return [*(key for key in keys if key != leaf.key), leaf.key]


@dataclass(frozen=True)
class Board:
    """The leaderboard, with the best validation score first."""

    rows: Mapping[str, BoardRow]
    winner: str
    control: str
    """the no-transfer control with the best validation score"""
    scores: Scores
    budgets: Sequence[int]
    detectable: float
    """minimum detectable difference with this test and these seeds: the median over all comparisons with the winner"""
    unbeaten: tuple[str, ...] = ()
    """no-transfer controls that the winner is not proven better than"""

    @property
    def best(self) -> BoardRow:
        return self.rows[self.winner]

    def negative(self) -> dict[str, str]:
        """Negative transfer: name of an entry -> the twin or no-transfer control that is significantly better."""
        lost = {}
        for name, row in self.rows.items():
            to = [a.other for a in (row.against_twin, row.against_control) if a is not None and a.worse]
            if to and name not in NO_TRANSFER:
                lost[name] = " and ".join(to)
        return lost


def make_board(evidence: Evidence) -> Board:
    """Choose the winner on validation, then compare on the test. Raises ValueError if all recipes were trained on test rows."""
    names = evidence.entries()
    leaked = {name: evidence.leaked(name) for name in names}
    validated = {name: evidence.validated(name) for name in names}
    fit = [name for name in names if not leaked[name] and evidence.tournament.entries[name].recipe is not None]
    if not fit:
        raise ValueError("every recipe was trained on rows of this test, so they cannot be compared")
    costs = {name: evidence.cost(name) for name in names}
    # rounded, so that scores equal up to rounding are ties, which the cheaper entry wins
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
    chance = chances(scores, [group(name, full) for name in honest])
    rows = {}
    for name in sorted(names, key=lambda name: (-validated[name], name)):
        shipped = evidence.shipped(name)
        figures = evidence.figures[shipped.key]
        finding: Standing = "winner" if name == winner else "tie"
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
    against_each = {n: scores.difference(group(winner, full), group(n, full)) for n in NO_TRANSFER if n in names}
    unbeaten = tuple(n for n, one in against_each.items() if outcome(one.interval, evidence.margin) != "superior")
    return Board(rows, winner, control, scores, evidence.tournament.ground.budgets, detectable, unbeaten)


_ABOUT = {
    SCRATCH: "the same network with random initialisation",
    TFIDF: "TF-IDF and a linear model",
    MAJORITY: "a constant prediction, such as the most frequent label",
}


def _sooner(evidence: Evidence, name: str, costs: Mapping[str, Cost]) -> dict[str, tuple[float, float]]:
    """Cost of each control divided by the cost of an entry to reach the control's validation score: (FLOPs, seconds)."""
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
