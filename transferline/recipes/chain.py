"""Plan a recipe for one target: a chain of steps, each with its key.

    key = <kind>-sha256(canonical stage incl. its version, parents' keys, md5s of the data it reads, seed)

Recipes with a common prefix share its checkpoints. Planning is pure: it reads no files and computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError
from transferline.core.problem import Setting
from transferline.core.stage import SELECTED, Stage, StageKind, make_key
from transferline.data.declarations import TargetSpec
from transferline.inference.prediction import Predict
from transferline.methods.controls.scratch import Scratch
from transferline.methods.controls.tfidf import Tfidf
from transferline.methods.parameter.full import Full
from transferline.models.bases import FetchedBase
from transferline.models.families import Family
from transferline.recipes.admission import TransferSettings, check_recipe, setting_of
from transferline.recipes.recipe import Recipe

ADAPTATION_SEED = 0  # adaptation runs once, and all tuning seeds share its checkpoint


@dataclass(frozen=True)
class Pin:
    """One version of a data file: its path and its md5 in dvc.lock."""

    path: Path
    md5: str


Data = Mapping[str, Pin]
"""role (train, validation, test, corpus) -> pin"""


@dataclass(frozen=True)
class Step:
    """A stage with its parents, data and seed, which together determine its key."""

    kind: StageKind
    stage: Stage
    parents: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    role: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """The canonical form that is hashed into the key: the stage, its parents, its data and its seed."""
        whole: dict[str, Any] = {
            "stage": self.stage.canonical(),
            "parents": list(self.parents),
            "data": dict(self.data),
        }
        return whole if self.seed is None else {**whole, "seed": self.seed}

    @property
    def key(self) -> str:
        """The key of the step's output: a hash of its identity.

        The key of predictions hashes only the model's key, the test's md5 and the version of the stage.
        """
        if self.kind == "predict":
            test = dict(self.data)["test"]
            return make_key("predict", {"model": self.parents[0], "test": test, "version": self.stage.version})
        return make_key(self.kind, self.identity)

    @property
    def title(self) -> str:
        """A readable name with role, method and seed."""
        method = str(self.stage.canonical()["method"])
        seed = f" seed {self.seed}" if self.seed is not None and self.kind != "adapt" else ""
        return f"{self.role}{seed}" if method == self.role.split()[0] else f"{self.role} {method}{seed}"


@dataclass(frozen=True)
class Chain:
    """A recipe planned for one target. Steps are in build order: parents come before children."""

    target: str
    recipe: str
    setting: Setting
    steps: tuple[Step, ...]
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """challenger, unadapted, scratch or tfidf -> keys of its models, one per seed"""
    settings: TransferSettings = field(default_factory=dict)
    """transfer settings of the recipe's source tasks"""

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def step(self, key: str) -> Step:
        return next(step for step in self.steps if step.key == key)

    def leaves(self) -> list[str]:
        """Keys of all models to evaluate, without duplicates."""
        return list(dict.fromkeys(key for keys in self.roles.values() for key in keys))


def plan(
    target: str,
    spec: TargetSpec,
    recipe: str,
    declared: Recipe,
    base: FetchedBase,
    data: Data,
    *,
    seeds: int | None = None,
    family: Family | None = None,
    others: Mapping[str, Stage] | None = None,
    settings: TransferSettings | None = None,
) -> Chain:
    """Plan the chain of a recipe for a target, with its controls.

    `others` are the bases that a student may start from, `settings` the transfer settings of the source tasks. Raises InputError if
    the setting, the kind of target or the base's family does not admit the recipe. A family of None is not checked here: it is
    checked once the base has been downloaded.
    """
    setting = setting_of(declared)
    check_recipe(recipe, declared, spec, setting, family, settings)
    steps = trunk(declared, base, data, f"recipe {recipe!r} for {target!r}", spec.domain)
    root, tip = steps[0].key, tip_of(steps)
    wanted = range(seeds or spec.seeds)
    tune = declared.tune
    student = student_of(tune, others)
    steps += student
    groups: dict[str, list[Step]] = {"challenger": [], "unadapted": [], "scratch": [], "tfidf": []}
    for role, parent, how in (("challenger", tip, declared), ("unadapted", root, declared.alone())):
        for seed in seeds_of(how.tune, wanted):
            *helpers, leaf = branch(how, parent, data, seed, role, student)
            steps += [step for step in helpers if step.key not in {s.key for s in steps}]
            groups[role].append(leaf)
    scratch = scratch_like(tune)
    groups["scratch"] = [control_step(scratch, (root,), data, s, "scratch") for s in wanted]
    groups["tfidf"] = [control_step(Tfidf(), (), data, None, "tfidf")]
    # a key may appear in several groups, for example if the recipe has no adaptation: the step is built once
    unique = {step.key: step for group in groups.values() for step in reversed(group)}
    known = {step.key for step in steps}
    for group in groups.values():
        for step in group:
            if step.key not in known:
                steps.append(unique[step.key])
                known.add(step.key)
    roles = {role: tuple(step.key for step in group) for role, group in groups.items()}
    return Chain(target, recipe, setting, tuple(steps), roles, settings or {})


def trunk(declared: Recipe, base: FetchedBase, data: Data, who: str = "", domain: str = "") -> list[Step]:
    """The steps of a recipe before its tuning: the base and its adaptation. All seeds and label budgets share them."""
    steps = [Step("base", base, role="base")]
    tip = steps[0].key
    selected: tuple[str, ...] = ()
    for stage in declared.adapt:
        parents = (tip, *(selected if SELECTED in stage.roles() else ()))
        read = _read(stage, data, who, domain)
        if stage.kind == "select":
            steps.append(Step("select", stage, parents, read, None, "selected text"))
            selected = (steps[-1].key,)
            continue
        steps.append(Step("adapt", stage, parents, read, ADAPTATION_SEED, "domain-adapted"))
        tip = steps[-1].key
    return steps


def tip_of(steps: Sequence[Step]) -> str:
    """The key of the last model of a trunk; selections of texts are no models."""
    return [step.key for step in steps if step.kind != "select"][-1]


def student_of(tune: Stage, others: Mapping[str, Stage] | None) -> list[Step]:
    """The step of the other base that a method starts from (a student for distillation); empty for most methods."""
    start = tune.starts_from()
    return [Step("base", others[start], role="student")] if start is not None and others and start in others else []


def branch(recipe: Recipe, parent: str, data: Data, seed: int, role: str, student: Sequence[Step] = ()) -> list[Step]:
    """The steps that tune one model with one seed: source examples, helper models (a teacher), and the model last."""
    tune, source_examples = recipe.tune, source_example_steps(recipe, parent, data)
    if source_examples:
        # the data is identified by the key of the step that writes it
        data = {**data, "train": Pin(Path(source_examples[0].key), source_examples[0].key)}
    helpers = [
        Step("tune", stage, (parent,), _read(stage, data), seed, f"{role} {name}")
        for name, stage in tune.helpers().items()
    ]
    start = tuple(step.key for step in student) or (parent,)
    parents = (*start, *(step.key for step in (*helpers, *source_examples)))
    return [*source_examples, *helpers, Step("tune", tune, parents, _read(tune, data), seed, role)]


def source_example_steps(recipe: Recipe, parent: str, data: Data) -> list[Step]:
    """The step that weights source examples; empty if the recipe has none."""
    stage = recipe.instances
    return [Step("select", stage, (parent,), _read(stage, data), None, "borrowed examples")] if stage else []


def control_step(stage: Stage, parents: tuple[str, ...], data: Data, seed: int | None, role: str) -> Step:
    """The step of a control."""
    return Step("control", stage, parents, _read(stage, data), seed, role)


def scratch_like(tune: Stage) -> Scratch:
    """The from-scratch control of a method: full fine-tuning of random weights with the same input and stopping settings."""
    if isinstance(tune, Full):
        return Scratch(tune=tune)
    common = ("epochs", "patience", "max_tokens", "truncation", "target_tokens", "pooling")
    return Scratch(tune=Full(**{name: getattr(tune, name) for name in common if hasattr(tune, name)}))


def predict_step(model: str, test_md5: str, role: str = "", seed: int | None = None) -> Step:
    """The step that predicts a test set with a model, given by its key."""
    return Step("predict", Predict(), (model,), (("test", test_md5),), seed, f"predict {role}")


def seeds_of(stage: Stage, wanted: range) -> tuple[int, ...]:
    """The seeds to build: all wanted ones, or only 0 for a deterministic method, because all its seeds give the same model."""
    return tuple(wanted) if getattr(stage, "random", True) else (0,)


def _read(stage: Stage, data: Data, who: str = "", domain: str = "") -> tuple[tuple[str, str], ...]:
    """(role, md5) of the data that a stage reads. Raises InputError if data is missing."""
    roles = [role for role in stage.roles() if role != SELECTED]
    for role in roles:
        if "/" in role and role not in data:  # a source task, such as reviews/train: its data come from a declared pair
            raise InputError(who or "recipe", f"{role} is not among the data", "Declare the pair in params.yaml")
    if "corpus" in roles and "corpus" not in data:
        mend = f"Declare domains.{domain} in params.yaml, or choose a recipe without `adapt`"
        raise InputError(who, f"domain {domain!r} has no corpus", mend)
    return tuple((role, data[role].md5) for role in roles)
