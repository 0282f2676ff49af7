"""Recipe -> Chain: the steps that a recipe means for one target, each with its key.

    key = <kind>-sha256(canonical stage incl. its version, parents' keys, md5s of the data it reads, seed)

Recipes that share a prefix share the work. The plan is pure: it reads no file and computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from transfer.bases import Base, FolderBase, HubBase, PackageBase
from transfer.controls.scratch import Scratch
from transfer.controls.tfidf import Tfidf
from transfer.corpora.declared import TargetSpec
from transfer.errors import InputError
from transfer.evaluation.predict import Predict
from transfer.objectives import Adaptation
from transfer.parameter import Full, Tuning
from transfer.problem import Domain, Setting, Task
from transfer.stage import Kind, Stage, make_key

ADAPTATION_SEED = 0  # one adapted checkpoint serves every seed of the tuning

Control = Scratch | Tfidf
_METHODS: Mapping[Kind, Any] = {
    "base": Base,
    "adapt": Adaptation,
    "tune": Tuning,
    "control": Control,
    "predict": Predict,
}


class Recipe(BaseModel):
    """base -> adapt* -> tune."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base: str
    """name of a base in params.yaml"""
    adapt: tuple[Annotated[Adaptation, Field(discriminator="method")], ...] = ()
    """self-supervised stages on the domain's corpus, in order"""
    tune: Annotated[Tuning, Field(discriminator="method")]
    """how the model learns the target"""
    about: str = ""
    setting: Setting | None = None
    """declared where it is known better than it can be derived"""


@dataclass(frozen=True)
class Pin:
    """One version of a file of data: where it lies and its md5 in dvc.lock."""

    path: Path
    md5: str


Data = Mapping[str, Pin]
"""role (train, validation, test, corpus) -> pin"""


@dataclass(frozen=True)
class Step:
    """One stage of a chain in its place: with parents, data and seed, and so with a key."""

    kind: Kind
    stage: Stage
    parents: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    role: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """The canonical form of what this step is made from."""
        whole: dict[str, Any] = {
            "stage": self.stage.canonical(),
            "parents": list(self.parents),
            "data": dict(self.data),
        }
        return whole if self.seed is None else {**whole, "seed": self.seed}

    @property
    def key(self) -> str:
        """The hash of the identity; of a prediction, that of the model's key and the test's md5 and nothing else."""
        if self.kind == "predict":
            test = dict(self.data)["test"]
            return make_key("predict", {"model": self.parents[0], "test": test, "version": self.stage.version})
        return make_key(self.kind, self.identity)

    @property
    def title(self) -> str:
        """A readable name: what is done, and with which seed."""
        method = str(self.stage.canonical()["method"])
        seed = f" seed {self.seed}" if self.seed is not None and self.kind != "adapt" else ""
        return f"{self.role}{seed}" if method == self.role.split()[0] else f"{self.role} {method}{seed}"


@dataclass(frozen=True)
class Chain:
    """A recipe planned for one target: steps in an order in which they can be built."""

    target: str
    recipe: str
    setting: Setting
    steps: tuple[Step, ...]
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """challenger, unadapted, scratch, tfidf -> keys, one a seed"""

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def step(self, key: str) -> Step:
        return next(step for step in self.steps if step.key == key)

    def without_adaptation(self) -> bool:
        """Whether challenger and unadapted control are one and the same."""
        return self.roles["challenger"] == self.roles["unadapted"]

    def leaves(self) -> list[str]:
        """Keys of every model that is evaluated, each once."""
        return list(dict.fromkeys(key for keys in self.roles.values() for key in keys))


def plan(
    target: str,
    spec: TargetSpec,
    recipe: str,
    declared: Recipe,
    base: PackageBase | FolderBase | HubBase,
    data: Data,
    seeds: int | None = None,
) -> Chain:
    """The chain of a recipe for a target, controls included. Raises InputError on what the setting refuses."""
    setting = _setting(target, declared, spec, data)
    for stage in (*declared.adapt, declared.tune):
        setting.admit(stage.transfer, str(stage.canonical()["method"]))
    steps: list[Step] = [Step("base", base, role="base")]
    root = tip = steps[0].key
    for stage in declared.adapt:
        if "corpus" not in data:
            mend = f"Declare domains.{spec.domain} in params.yaml, or choose a recipe without `adapt`"
            raise InputError(f"recipe {recipe!r} for {target!r}", f"domain {spec.domain!r} has no corpus", mend)
        steps.append(Step("adapt", stage, (tip,), _read(stage, data), ADAPTATION_SEED, "domain-adapted"))
        tip = steps[-1].key
    wanted = range(seeds or spec.seeds)
    tune = declared.tune
    scratch = Scratch(tune=tune if isinstance(tune, Full) else Full(max_tokens=tune.max_tokens))
    groups: dict[str, list[Step]] = {
        "challenger": [Step("tune", tune, (tip,), _read(tune, data), s, "challenger") for s in _seeds(tune, wanted)],
        "unadapted": [Step("tune", tune, (root,), _read(tune, data), s, "unadapted") for s in _seeds(tune, wanted)],
        "scratch": [Step("control", scratch, (root,), _read(scratch, data), s, "scratch") for s in wanted],
        "tfidf": [Step("control", Tfidf(), (), _read(Tfidf(), data), None, "tfidf")],
    }
    unique = {step.key: step for group in groups.values() for step in reversed(group)}
    known = {step.key for step in steps}
    for group in groups.values():
        for step in group:
            if step.key not in known:
                steps.append(unique[step.key])
                known.add(step.key)
    roles = {role: tuple(step.key for step in group) for role, group in groups.items()}
    return Chain(target, recipe, setting, tuple(steps), roles)


def prediction_key(model: str, test_md5: str) -> str:
    """Key of a model's predictions on a test: the only place where test data enters a key."""
    return predict_step(model, test_md5).key


def predict_step(model: str, test_md5: str, role: str = "", seed: int | None = None) -> Step:
    """The step that predicts a test with the model of a key."""
    return Step("predict", Predict(), (model,), (("test", test_md5),), seed, f"predict {role}")


def read_stage(kind: Kind, declared: Mapping[str, Any]) -> Stage:
    """The stage that `stage.model_dump(mode="json")` described. Raises ValidationError on what is none."""
    reader: TypeAdapter[Any] = TypeAdapter(_METHODS[kind])
    return reader.validate_python(declared)


def _seeds(stage: Stage, wanted: range) -> tuple[int, ...]:
    """A method without randomness is built once: more seeds would be the same model again."""
    return tuple(wanted) if getattr(stage, "random", True) else (0,)


def _read(stage: Stage, data: Data) -> tuple[tuple[str, str], ...]:
    return tuple((role, data[role].md5) for role in stage.reads)


def _setting(target: str, recipe: Recipe, spec: TargetSpec, data: Data) -> Setting:
    """Nobody knows a public base's corpus or task, so a base as the source is `unknown` unless it is declared."""
    corpus = data["corpus"].md5 if "corpus" in data else None
    here = (Domain(spec.domain, corpus=corpus), Task(target, examples=data["train"].md5))
    return recipe.setting or Setting.derive((Domain(recipe.base), None), here)
