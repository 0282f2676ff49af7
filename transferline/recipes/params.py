"""params.yaml: the one file a user edits. Read, checked, and refused with the place of the mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transferline.core.errors import InputError
from transferline.data.declarations import AuditSpec, DomainSpec, PairSpec, Source, TargetSpec
from transferline.recipes.comparison import Comparison
from transferline.recipes.recipe import OTHER, Recipe
from transferline.recipes.registry import Base

AUTO = "auto"  # instead of a recipe: the one that the last comparison decided for
Declared = TypeVar("Declared")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Watch(BaseModel):
    """How the incoming, unlabelled stream of a target is watched for drift."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    stream: str
    """file or folder of incoming texts; .csv, .jsonl, .parquet or .txt"""
    text: str = "text"
    """column of the text"""
    threshold: Annotated[float, Field(gt=0, le=2)] = 0.5
    """proxy A-distance (0 to 2) above which the stream counts as drifted"""
    cron: str | None = None
    timezone: str = "UTC"
    retrain: bool = False
    """whether a drift alarm starts a retrain by itself"""


class Operation(BaseModel):
    """How one target is run unattended. Changes no key and touches no data."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    cron: str | None = None
    """when to retrain"""
    timezone: str = "UTC"
    recipe: str | None = None
    """for scheduled retrains; the target's own where left out"""
    approval: bool = False
    """a person must agree before the champion alias moves"""
    watch: Watch | None = None


class Params(BaseModel):
    """Everything that is declared: where data comes from, what it is for, and how models are made."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    default_target: str
    sources: dict[str, Source]  # {} where there are none: dvc.yaml reads the block too
    domains: dict[str, DomainSpec]
    targets: dict[str, TargetSpec]
    pairs: dict[str, PairSpec]  # {} where there are none: dvc.yaml reads the block too
    """what targets may learn from each other"""
    bases: dict[str, Base]
    recipes: dict[str, Recipe]
    audits: dict[str, AuditSpec] = {}
    """paired sentences by which `transferline audit` looks for bias"""
    comparisons: dict[str, Comparison] = {}
    """questions that `transferline compare` asks of a target; `default` is asked where none is named"""
    operations: dict[str, Operation] = {}
    """target -> how it is run unattended"""
    notify: tuple[str, ...] = ()
    """Prefect notification blocks, `type/name`, that are told of verdicts, failures and drift"""

    def target(self, name: str) -> TargetSpec:
        return _named(self.targets, name, "target")

    def pair(self, source_task: str, target: str) -> str:
        """The name of the pair in which a target lends to another. Raises InputError where none is declared."""
        if source_task == OTHER:
            mend = "Ask for it by `transferline compare` or `matrix`, or name a target in the recipe"
            raise InputError(f"target {target!r}", "the recipe says `other` and means no target of its own", mend)
        for name, pair in self.pairs.items():
            if (pair.source_task, pair.learner) == (source_task, target):
                return name
        places = [f"{self.target(name).domain}/{name}" for name in (source_task, target)]
        mend = f"Declare it under `pairs` in params.yaml: {{source: {places[0]}, target: {places[1]}}}"
        raise InputError(f"target {target!r}", f"no pair lets it learn from {source_task!r}", mend)

    def source_tasks(self, target: str, alike: bool = False) -> list[str]:
        """The targets that pairs lend to a target, each once; `alike`: those with its own input space."""
        found = dict.fromkeys(pair.source_task for pair in self.pairs.values() if pair.learner == target)
        space = self.target(target).space
        return [name for name in found if not alike or self.target(name).space == space]

    def recipe(self, name: str) -> Recipe:
        return _named(self.recipes, name, "recipe")

    def comparison(self, name: str) -> Comparison:
        if name == "default" and name not in self.comparisons:
            return Comparison()
        return _named(self.comparisons, name, "comparison")

    def operation(self, target: str) -> Operation:
        return self.operations.get(target, Operation())

    def base(self, name: str) -> Base:
        return _named(self.bases, name, "base")


def load_params(path: Path) -> Params:
    """Params of a file; InputError with file, place and mend where it is wrong."""
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, "there is no such file", "Run from the project's folder") from None
    except yaml.YAMLError as error:
        raise InputError(path, f"not YAML ({str(error).splitlines()[-1].strip()})", "Mend the file") from error
    try:
        params = Params.model_validate(declared)
    except ValidationError as error:
        raise InputError(path, *_explain(error)) from error
    _check_references(path, params)
    return params


def _explain(error: ValidationError) -> tuple[str, str]:
    lines = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
    return "; ".join(lines), "Correct these entries; docs/reference.md lists what each block may say"


def _check_references(path: Path, params: Params) -> None:
    for block in ("sources", "domains", "targets", "pairs", "bases", "recipes", "comparisons"):
        for name in getattr(params, block):
            if (block, name) in (("recipes", "own"), ("recipes", AUTO), ("targets", OTHER)):
                raise InputError(f"{path}, {block}", f"{name!r} means something else", "Give it another name")
            if not _NAME.fullmatch(name):  # names become folders, model names, and words of a shell command
                raise InputError(f"{path}, {block}", f"{name!r} is no name", "Use letters, digits, - and _ only")
    for name, target in params.targets.items():
        if target.recipe not in (AUTO, *params.recipes):
            _refuse(path, f"targets.{name}.recipe", target.recipe, params.recipes)
    known = {f"{target.domain}/{name}": target for name, target in params.targets.items()}
    for name, pair in params.pairs.items():
        for side in ("source", "target"):
            if getattr(pair, side) not in known:
                _refuse(path, f"pairs.{name}.{side}", getattr(pair, side), known)
    for name, recipe in params.recipes.items():
        if recipe.base not in params.bases:
            _refuse(path, f"recipes.{name}.base", recipe.base, params.bases)
        for source_task in recipe.source_task_names():
            if source_task not in (OTHER, *params.targets):
                _refuse(path, f"recipes.{name}, source", source_task, params.targets)
    for name, comparison in params.comparisons.items():
        for recipe_name in comparison.recipes:
            if recipe_name not in params.recipes:
                _refuse(path, f"comparisons.{name}.recipes", recipe_name, params.recipes)
    for name, operation in params.operations.items():
        if name not in params.targets:
            _refuse(path, f"operations.{name}", name, params.targets)
        if operation.recipe is not None and operation.recipe not in (AUTO, *params.recipes):
            _refuse(path, f"operations.{name}.recipe", operation.recipe, params.recipes)
    if params.default_target not in params.targets:
        _refuse(path, "default_target", params.default_target, params.targets)


def _refuse(path: Path, place: str, value: str, known: dict) -> None:
    raise InputError(f"{path}, {place}", f"{value!r} is not declared", f"Declared are {sorted(known)}")


def _named(known: dict[str, Declared], name: str, what: str) -> Declared:
    if name not in known:
        raise InputError(f"{what} {name!r}", "not declared in params.yaml", f"Declared are {sorted(known)}")
    return known[name]
