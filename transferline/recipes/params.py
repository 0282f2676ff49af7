"""params.yaml, the file that users edit: read it and check it. Errors name the entry to correct."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.data.declarations import AuditSpec, DomainSpec, PairSpec, Source, TargetSpec
from transferline.recipes.comparison import Comparison
from transferline.recipes.recipe import OTHER, Recipe
from transferline.recipes.registry import Base

AUTO = "auto"  # in place of a recipe: the winner of the last comparison
Declared = TypeVar("Declared")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Watch(BaseModel):
    """Drift monitoring of a target's incoming, unlabelled texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    stream: str
    """file or folder of incoming texts; .csv, .jsonl, .parquet or .txt"""
    text: str = "text"
    """name of the text column"""
    pair: str = ""
    """name of the column of the second text, for models of text pairs"""
    threshold: Annotated[float, Field(gt=0, le=2)] = 0.5
    """proxy A-distance (0 to 2) above which drift is reported"""
    cron: str | None = None
    """when to check for drift"""
    timezone: str = "UTC"
    """time zone of `cron`"""
    retrain: bool = False
    """whether a drift alarm starts a retrain automatically"""


class Operation(BaseModel):
    """Scheduled operation of one target. Does not affect keys or data."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    cron: str | None = None
    """when to retrain"""
    timezone: str = "UTC"
    """time zone of `cron`"""
    recipe: str | None = None
    """recipe of scheduled retrains; default: the target's own recipe"""
    approval: bool = False
    """whether a person must approve before the champion alias moves"""
    watch: Watch | None = None


class Params(BaseModel):
    """The contents of params.yaml: data sources, domains, targets, bases, recipes, comparisons and schedules."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    default_target: str
    sources: dict[str, Source]  # {} where there are none: dvc.yaml reads the block too
    domains: dict[str, DomainSpec]
    targets: dict[str, TargetSpec]
    pairs: dict[str, PairSpec]  # {} where there are none: dvc.yaml reads the block too
    """which target may use which other target as a source task"""
    bases: dict[str, Base]
    recipes: dict[str, Recipe]
    audits: dict[str, AuditSpec] = {}
    """paired sentences with which `transferline audit` tests for bias"""
    comparisons: dict[str, Comparison] = {}
    """comparisons that `transferline compare` can run; `default` is run if none is named"""
    operations: dict[str, Operation] = {}
    """target -> its schedules"""
    notify: tuple[str, ...] = ()
    """Prefect notification blocks, `type/name`, that receive verdicts, failures and drift alarms"""

    def target(self, name: str) -> TargetSpec:
        return _named(self.targets, name, "target")

    def pair(self, source_task: str, target: str) -> str:
        """The name of the pair that makes `source_task` a source of `target`. Raises InputError if no pair does."""
        if source_task == OTHER:
            mend = "Run it with `transferline compare` or `transferline matrix`, or name a source task in the recipe"
            raise InputError(f"target {target!r}", "the recipe's source task is `other`, which names no target", mend)
        for name, pair in self.pairs.items():
            if (pair.source_task, pair.learner) == (source_task, target):
                return name
        # pairs name their sides as domain/target
        places = [f"{self.target(name).domain}/{name}" for name in (source_task, target)]
        mend = f"Declare it under `pairs` in params.yaml: {{source: {places[0]}, target: {places[1]}}}"
        raise InputError(f"target {target!r}", f"no pair declares {source_task!r} as its source task", mend)

    def source_tasks(self, target: str, alike: bool = False) -> list[str]:
        """The source tasks that pairs declare for a target; with `alike`, only those with the same input space."""
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


def project_params() -> Params:
    """The params.yaml of the present project (see core/project.py). Raises InputError as `load_params` does."""
    return load_params(root() / "params.yaml")


def load_params(path: Path) -> Params:
    """Read and check params.yaml. Raises InputError with the file, the entry and a correction."""
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, "there is no such file", "Run from the project's folder") from None
    except yaml.YAMLError as error:
        raise InputError(path, f"not YAML ({str(error).splitlines()[-1].strip()})", "Correct the file") from error
    try:
        params = Params.model_validate(declared)
    except ValidationError as error:
        raise InputError(path, *_explain(error)) from error
    _check_references(path, params)
    return params


def _explain(error: ValidationError) -> tuple[str, str]:
    lines = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
    return "; ".join(lines), "Correct these entries; docs/reference.md lists the fields of each block"


def _check_references(path: Path, params: Params) -> None:
    for block in ("sources", "domains", "targets", "pairs", "bases", "recipes", "comparisons"):
        for name in getattr(params, block):
            if (block, name) in (("recipes", "own"), ("recipes", AUTO), ("targets", OTHER)):
                raise InputError(f"{path}, {block}", f"{name!r} is a reserved name", "Give it another name")
            if not _NAME.fullmatch(name):  # names become folders, model names, and words of a shell command
                raise InputError(
                    f"{path}, {block}", f"{name!r} is not a valid name", "Use letters, digits, - and _ only"
                )
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
