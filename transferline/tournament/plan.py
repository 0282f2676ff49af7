"""Plan a tournament: recipes x label budgets x seeds as one DAG, in which shared stages are built once.

At the full budget, a leaf is the model that `retrain` would build, with the same key. At smaller budgets each seed has its own
nested label subsets, so that the standard deviation over seeds includes the choice of examples. Adaptation always reads all texts,
because unlabelled text is cheap and labels are expensive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transferline.core.errors import InputError
from transferline.evaluation.verdict import MAJORITY, SCRATCH, TFIDF
from transferline.methods.controls.majority import Majority
from transferline.methods.controls.tfidf import Tfidf
from transferline.methods.parameter.full import Full
from transferline.methods.parameter.probe import Probe
from transferline.recipes.admission import check_recipe, setting_of
from transferline.recipes.chain import (
    Step,
    branch,
    control_step,
    scratch_like,
    seeds_of,
    student_of,
    tip_of,
    trunk,
)
from transferline.recipes.recipe import Recipe
from transferline.tournament.setup import Ground

PROBE = "frozen-probe"


@dataclass(frozen=True)
class Entry:
    """One entry: a recipe, or a control without a recipe. `twin` names the entry with the same recipe without adaptation."""

    name: str
    recipe: Recipe | None
    control: bool = False
    twin: str | None = None
    added: bool = False
    """true for controls and twins that were added automatically"""


@dataclass(frozen=True)
class Leaf:
    """One model to evaluate: an entry with one label budget and one seed."""

    entry: str
    budget: int
    seed: int
    key: str


@dataclass(frozen=True)
class Tournament:
    """The plan of a tournament: entries, leaves, and all steps, with parents before children."""

    ground: Ground
    entries: Mapping[str, Entry]
    leaves: tuple[Leaf, ...]
    steps: Mapping[str, Step]

    def group(self, entry: str, budget: int | None = None) -> tuple[Leaf, ...]:
        """The leaves of an entry at a label budget (default: all labels), by seed."""
        wanted = self.ground.rows if budget is None else budget
        return tuple(leaf for leaf in self.leaves if leaf.entry == entry and leaf.budget == wanted)

    def needed(self, leaves: Iterable[Leaf]) -> list[Step]:
        """All steps that leaves depend on, in build order."""
        wanted: set[str] = set()
        waiting = [leaf.key for leaf in leaves]
        while waiting:
            key = waiting.pop()
            if key not in wanted:
                wanted.add(key)
                step = self.steps[key]
                # data may be named by the key of the step that writes it: label subsets and weighted source examples
                waiting += [*step.parents, *(name for _, name in step.data if name in self.steps)]
        return [step for key, step in self.steps.items() if key in wanted]

    def chain_of(self, leaf: Leaf) -> list[Step]:
        """All steps that build one leaf, in build order."""
        return self.needed([leaf])

    def only(self, entries: Iterable[str]) -> Tournament:
        """The tournament with these entries only."""
        kept = set(entries)
        leaves = tuple(leaf for leaf in self.leaves if leaf.entry in kept)
        return replace(self, entries={n: e for n, e in self.entries.items() if n in kept}, leaves=leaves)


def plan_tournament(ground: Ground, recipes: Mapping[str, Recipe], controls: bool = True) -> Tournament:
    """Plan recipes with their controls and twins. Raises InputError if the target does not admit a recipe."""
    entries = _with_twins({name: Entry(name, recipe) for name, recipe in recipes.items()})
    if controls:
        entries = _with_controls(entries, ground)
    steps: dict[str, Step] = {}
    leaves: list[Leaf] = []
    for entry in entries.values():
        check(entry, ground)
        made, new = _grow(entry, ground, entries)
        steps.update({step.key: step for step in made if step.key not in steps})
        leaves += new
    return Tournament(ground, entries, tuple(leaves), steps)


def admitted(ground: Ground, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """The recipes that the setting, the kind of target, the base and the data admit."""
    found = {}
    for name, recipe in recipes.items():
        try:
            check(Entry(name, recipe), ground)
            _grow(Entry(name, recipe), ground, {})
        except InputError:
            continue
        found[name] = recipe
    return found


def check(entry: Entry, ground: Ground) -> None:
    """Raise InputError if an entry's recipe is not admitted."""
    if entry.recipe is not None:
        family = ground.families.get(entry.recipe.base)
        setting = setting_of(entry.recipe)
        check_recipe(entry.name, entry.recipe, ground.spec, setting, family, ground.settings)


def _grow(entry: Entry, ground: Ground, entries: Mapping[str, Entry]) -> tuple[list[Step], list[Leaf]]:
    """Steps and leaves of one entry, at every label budget."""
    who = f"recipe {entry.name!r} for {ground.target!r}"
    steps: list[Step] = []
    like = _scratch_model(entries)
    source = entry.recipe or (like if entry.name == SCRATCH else None)
    if entry.recipe is not None:
        steps += trunk(entry.recipe, ground.bases[entry.recipe.base], ground.data, who, ground.spec.domain)
    elif source is not None:
        steps.append(Step("base", ground.bases[source.base], role="base"))
    stage: Any = entry.recipe.tune if entry.recipe else _control_stage(entry.name, like)
    student = student_of(stage, ground.bases)
    steps += student
    tip = tip_of(steps) if steps else ""
    leaves = []
    for budget in ground.budgets:
        whole = ground.whole(budget)
        for seed in seeds_of(stage, range(ground.seeds)) if whole else range(ground.seeds):
            labels = ground.labels(budget, seed)
            steps += [labels] if labels else []
            data, own = ground.with_labels(budget, seed), seed if stage.random else 0
            role = entry.name if whole else f"{entry.name} {budget}" + ("" if stage.random else f" draw {seed}")
            if entry.recipe is not None:
                made = branch(entry.recipe, tip, data, own, role, student)
            else:
                made = [control_step(stage, (tip,) if tip else (), data, own if stage.random else None, role)]
            steps += made
            leaves.append(Leaf(entry.name, budget, seed, made[-1].key))
    return steps, leaves


def _control_stage(name: str, like: Recipe | None) -> Any:
    """The stage of a no-transfer control by its name."""
    if name == SCRATCH:
        assert like is not None
        return scratch_like(like.tune)
    return Tfidf() if name == TFIDF else Majority()


def _scratch_model(entries: Mapping[str, Entry]) -> Recipe | None:
    """The recipe that gives the from-scratch control its network and patience: the first with full fine-tuning, or the first."""
    recipes = [entry.recipe for entry in entries.values() if entry.recipe is not None]
    return next((r for r in recipes if isinstance(r.tune, Full)), recipes[0] if recipes else None)


def _with_twins(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Link each recipe with adaptation or source examples to the same one without (its twin), and add missing twins."""
    made = dict(entries)
    for name, entry in entries.items():
        recipe = entry.recipe
        if recipe is None or _parts(plain := recipe.alone()) == _parts(recipe):
            continue
        twin = _same(made.values(), plain) or f"{name} unadapted"
        made.setdefault(twin, Entry(twin, plain, added=True))
        made[name] = replace(entry, twin=twin)
    return made


def _same(entries: Iterable[Entry], recipe: Recipe) -> str | None:
    """The name of an entry that builds the same models as a recipe, or None."""
    same = [e.name for e in entries if _parts(e.recipe) == _parts(recipe)]
    return same[0] if same else None


def _parts(recipe: Recipe | None) -> tuple[Any, ...]:
    """The parts of a recipe that determine its models."""
    return (recipe.base, recipe.adapt, recipe.instances, recipe.tune) if recipe else ()


def _with_controls(entries: dict[str, Entry], ground: Ground) -> dict[str, Entry]:
    """Add the controls of every tournament: majority, TF-IDF, from scratch, and a probe of the unadapted base."""
    made = dict(entries)
    for pooling in ("mean", "first"):
        base = next(entry.recipe.base for entry in entries.values() if entry.recipe)
        probe = Recipe(base=base, tune=Probe.model_validate({"pooling": pooling}))
        name = _same(entries.values(), probe) or PROBE
        try:
            check(Entry(name, probe), ground)
        except InputError:  # the family does not support this pooling, or the kind of target has no probe
            continue
        made[name] = replace(made.get(name, Entry(name, probe, added=True)), control=True)
        break
    for name in (SCRATCH, TFIDF, MAJORITY):
        made[name] = Entry(name, None, control=True, added=True)
    return made


def names_of(recipes: Sequence[str], known: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Select recipes by name. Raises InputError on an undeclared name."""
    for name in recipes:
        if name not in known:
            raise InputError(f"recipe {name!r}", "not declared in params.yaml", f"Declared are {sorted(known)}")
    return {name: known[name] for name in recipes}
