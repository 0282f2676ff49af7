"""Execution of a comparison: order of building, successive halving, and limits of time and FLOPs.

    trials   one seed of every variant of every recipe: validation keeps one variant per recipe
    rungs    all recipes with all labels, seed after seed: halving drops recipes in between
    budgets  the remaining recipes with fewer and fewer labels
    test     every model once, when all choices are made

Before each part its maximum cost is compared with the remaining limit. A part that does not fit is left out and reported. No
part is built by half.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from transferline.core.checkpoint import read_lineage
from transferline.core.errors import InputError
from transferline.core.project import store
from transferline.evaluation.metrics import measure
from transferline.flows.support.comparison.leaves import Builder
from transferline.recipes.chain import Step, predict_step
from transferline.recipes.comparison import Comparison
from transferline.recipes.recipe import Recipe
from transferline.tasks.support.commit_marks import recorded
from transferline.tasks.support.progress import notice
from transferline.tournament.ablation import prefixes
from transferline.tournament.forecast import Forecast, minutes, speed
from transferline.tournament.hyperparameters import best_of, halve, longer, rungs, tried
from transferline.tournament.plan import Leaf, Tournament, plan_tournament


@dataclass
class Contest:
    """A comparison in progress. `spent` is in FLOPs, `reserved` in minutes, `budgets` are the counts of labels built so far."""

    builder: Builder
    question: Comparison
    metric: str
    notes: list[str] = field(default_factory=list)
    budgets: list[int] = field(default_factory=list)
    spent: float = 0.0
    reserved: float = 0.0  # minutes kept for scoring the built models on the test set, which comes last
    started: float = field(default_factory=time.monotonic)
    forecasts: dict[frozenset[str], Forecast] = field(default_factory=dict)

    def most(self, recipes: Mapping[str, Recipe]) -> Bound:
        """Upper bound of the remaining cost: all trials, then the most expensive variant of every recipe, none dropped."""
        variants = {name: tried(name, recipe, self.question.trials) for name, recipe in recipes.items()}
        flat = {name: recipe for several in variants.values() for name, recipe in several.items()}
        plan = plan_tournament(self.builder.ground, flat, controls=False)
        trials = self.bound(plan, self._first(plan, list(flat)) if len(flat) > len(recipes) else [])
        # variants differ in learning rate and epochs: the one with most epochs costs most
        dearest = {max(several, key=lambda name: _epochs(several[name])): several for several in variants.values()}
        full = plan_tournament(self.builder.ground, {name: several[name] for name, several in dearest.items()})
        parts = [trials, self.bound(full, full.leaves), *self._dearest_ablation(recipes)]
        steps, each = [step for part in parts for step in part.steps], [flops for part in parts for flops in part.each]
        return Bound(steps, each, sum(part.minutes for part in parts), sum(part.leaves for part in parts))

    def _dearest_ablation(self, recipes: Mapping[str, Recipe]) -> list[Bound]:
        """Upper bound of the ablation of the winner's chain. The winner is unknown, so the most expensive recipe counts."""
        bounds = []
        for name, recipe in recipes.items():
            cut = prefixes(name, recipe)
            if cut:
                plan = self.shortened(cut)
                bounds.append(self.bound(plan, plan.leaves))
        return [max(bounds, key=lambda bound: bound.flops)] if bounds else []

    def shortened(self, cut: Mapping[str, Recipe]) -> Tournament:
        """Plan of the shortened recipes of an ablation, with all labels."""
        ground = replace(self.builder.ground, budgets=(self.builder.ground.rows,))
        plan = plan_tournament(ground, cut, controls=False)
        return plan.only(cut)

    def choose(self, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
        """Choose one variant of each recipe on validation. Every recipe gets the same number of trials."""
        variants = {name: tried(name, recipe, self.question.trials) for name, recipe in recipes.items()}
        flat = {name: recipe for several in variants.values() for name, recipe in several.items()}
        if len(flat) == len(recipes):  # one variant each: nothing to choose
            return dict(recipes)
        plan = plan_tournament(self.builder.ground, flat, controls=False)
        first = {leaf.entry: leaf for leaf in self._first(plan, list(flat))}
        self.part(plan, list(first.values()), f"{len(flat)} trials", needed=True)
        scores = self.validate(list(first.values()))
        chosen = {}
        for several in variants.values():
            best = best_of({name: scores[first[name].key] for name in several})
            chosen[best] = several[best]
            if len(several) > 1:
                notice("chosen", "cyan", f"{best} of {len(several)} trials, on validation")
        return chosen

    def run(self, plan: Tournament) -> Tournament:
        """Build everything within the limits. Returns the plan without the dropped recipes."""
        rows = plan.ground.rows
        plan = self._halve(plan) if self.question.halving else plan
        all_labels = [leaf for leaf in plan.leaves if leaf.budget == rows]
        self.part(plan, all_labels, "all labels", needed=True)
        self.validate(all_labels)
        self.budgets = [rows]
        # larger budgets first: if the limit is reached, the smallest budgets are left out
        for budget in sorted(plan.ground.budgets[:-1], reverse=True):
            leaves = [leaf for leaf in plan.leaves if leaf.budget == budget]
            if not self.part(plan, leaves, f"{budget} labels"):
                break
            self.budgets.insert(0, budget)
        return plan

    def equalise(self, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
        """Give cheaper recipes more epochs, until all may cost as much as the most expensive one."""
        plan = plan_tournament(self.builder.ground, recipes, controls=False)
        cost: dict[str, tuple[float, float]] = {}
        for name in recipes:
            leaf = plan.group(name)[0]
            parts = dict(zip(*self.each(plan, [leaf], every=True), strict=True))
            last = next(flops for step, flops in parts.items() if step.key == leaf.key)
            cost[name] = (sum(parts.values()) - last, last)
        highest = max(sum(parts) for parts in cost.values())
        # only the fine-tuning gets longer; what comes before it costs the same
        return {
            name: longer(recipe, (highest - cost[name][0]) / max(cost[name][1], 1.0))
            for name, recipe in recipes.items()
        }

    def validate(self, leaves: Sequence[Leaf]) -> dict[str, float]:
        """Score each model on validation. Returns key -> value of the target's metric."""
        made = self.builder.predictions(leaves, "validation")
        return {key: measure(self.metric, one) for key, one in made.items()}

    def _first(self, plan: Tournament, names: Sequence[str]) -> list[Leaf]:
        """The model of seed 0 with all labels, for each entry."""
        return [plan.group(name)[0] for name in names]

    def _halve(self, plan: Tournament) -> Tournament:
        """Successive halving over seeds with all labels. Controls, and the controls paired with survivors, stay."""
        rows, factor = plan.ground.rows, self.question.halving
        names = [name for name, entry in plan.entries.items() if not entry.added]
        known: dict[str, float] = {}  # validation scores by key: a later rung trains only the new seeds

        def scores(some: list[str], seeds: int) -> dict[str, float]:
            groups = {name: [leaf for leaf in plan.group(name, rows) if leaf.seed < seeds] for name in some}
            new = [leaf for leaves in groups.values() for leaf in leaves if leaf.key not in known]
            if new:
                self.part(plan, new, f"rung of {seeds} seeds, {len(some)} recipes", needed=True)
                known.update(self.validate(new))
            return {name: sum(known[leaf.key] for leaf in group) / len(group) for name, group in groups.items()}

        survivors = halve(names, rungs(plan.ground.seeds, factor), factor, scores)
        kept = set(survivors[-1] if survivors else names)
        dropped = [name for name in names if name not in kept]
        if dropped:
            self.notes.append(f"dropped on validation by halving: {', '.join(dropped)}")
            notice("halved", "cyan", f"{len(kept)} of {len(names)} recipes go on")
        twins = {plan.entries[name].twin for name in kept}
        others = {n for n, e in plan.entries.items() if e.control or (e.added and n in twins) or n in twins}
        return plan.only([name for name in plan.entries if name in kept | others])

    def part(self, plan: Tournament, leaves: Sequence[Leaf], what: str, needed: bool = False) -> bool:
        """Build some models if they fit into the limits. Returns whether they did. Raises InputError if `needed` ones do not."""
        bound = self.bound(plan, leaves)
        left_flops = math.inf if self.question.flops is None else self.question.flops - self.spent
        elapsed = (time.monotonic() - self.started) / 60
        left_minutes = math.inf if self.question.minutes is None else self.question.minutes - elapsed - self.reserved
        if bound.flops > left_flops or bound.minutes > left_minutes:
            cost = f"{what}: up to {bound}"
            if needed and not self.spent:
                raise InputError("compare", f"{cost}, more than allowed", "Raise the limit, or compare fewer recipes")
            if needed:
                mend = "Raise the limit; finished stages are kept"
                raise InputError("compare", f"{cost}, more than the remaining limit", mend)
            self.notes.append(f"left out, because it could exceed the limit: {cost}")
            notice("skipped", "yellow", f"{cost}, more than the remaining limit")
            return False
        self.builder.leaves(plan, leaves)
        scoring = [flops for step, flops in zip(bound.steps, bound.each, strict=True) if step.kind == "predict"]
        self.spent += sum(self._flops(step) for step in bound.steps) + sum(scoring)
        self.reserved += minutes(scoring, self._speed())
        return True

    def bound(self, plan: Tournament, leaves: Sequence[Leaf]) -> Bound:
        """Upper bound of the cost of building and scoring some models, without finished steps."""
        todo, flops = self.each(plan, leaves)
        return Bound(todo, flops, minutes(flops, self._speed()), len(leaves))

    def each(self, plan: Tournament, leaves: Sequence[Leaf], every: bool = False) -> tuple[list[Step], list[float]]:
        """Unfinished steps of some models with the upper bound of their FLOPs. With `every`: all steps but predictions."""
        ground = plan.ground
        test, validation = ground.data["test"].md5, ground.data["validation"].md5
        scored = [predict_step(leaf.key, test) for leaf in leaves]
        # choices are made with all labels only, so only those models are scored on validation
        scored += [predict_step(leaf.key, validation) for leaf in leaves if leaf.budget == ground.rows]
        wanted = plan.needed(leaves) if every else [*plan.needed(leaves), *scored]
        todo = [step for step in wanted if every or not recorded(step.key)]
        forecast, base_of = self._forecast(plan), self._bases(plan)
        return todo, [
            forecast.flops(step, base_of(step.parents[0] if step.kind == "predict" else step.key), validation)
            for step in todo
        ]

    def _forecast(self, plan: Tournament) -> Forecast:
        ground = plan.ground
        bases = {s.key: store() / s.key for s in plan.steps.values() if s.kind == "base" and (store() / s.key).exists()}
        files = {pin.md5: pin.path for pin in ground.data.values()} | {"train": ground.data["train"].path}
        forecast = self.forecasts.setdefault(frozenset(bases), Forecast(bases, files))
        forecast.steps = plan.steps
        return forecast

    def _bases(self, plan: Tournament) -> Callable[[str], str]:
        """Function from a step's key to the key of its base, or '' for steps without a base."""

        def base_of(key: str) -> str:
            step = plan.steps[key]
            if step.kind == "base":
                return key
            return base_of(step.parents[0]) if step.parents else ""

        return base_of

    def _speed(self) -> float:
        """FLOPs per second of the fine-tunings in this store."""
        lineages = {folder.name: read_lineage(folder) or {} for folder in store().glob("tune-*")}
        return speed(lineages)

    def _flops(self, step: Step) -> float:
        lineage = read_lineage(store() / step.key) or {}
        return float((lineage.get("cost") or {}).get("flops", 0.0))


def _epochs(recipe: Recipe) -> int:
    return int(getattr(recipe.tune, "epochs", 0))


@dataclass(frozen=True)
class Bound:
    """Upper bound of the cost of some steps: FLOPs of each, minutes and number of models."""

    steps: Sequence[Step]
    each: Sequence[float]
    minutes: float
    leaves: int

    @property
    def flops(self) -> float:
        return sum(self.each)

    def __str__(self) -> str:
        return f"{len(self.steps)} stages, {self.flops:.2g} FLOPs, {self.minutes:.0f} minutes"
