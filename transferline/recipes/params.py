"""params.yaml, the file that users edit: read it and check it. Errors name the entry to correct."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transferline.core.errors import InputError, choices, shown
from transferline.core.project import root
from transferline.data.declarations import AuditSpec, DomainSpec, PairSpec, TargetSpec
from transferline.data.source_declarations import Source
from transferline.recipes.comparison import Comparison
from transferline.recipes.recipe import OTHER, Recipe
from transferline.recipes.references import (
    AUTO,
    NAMED,
    Mistake,
    base_mistakes,
    comparison_mistakes,
    name_mistakes,
    pair_mistakes,
    recipe_names,
    source_mistakes,
    unknown,
)
from transferline.recipes.registry import Base
from transferline.recipes.schedules import Operation
from transferline.recipes.strict_yaml import read_yaml
from transferline.recipes.validation_errors import check_values, explain

ParamsEntry = TypeVar("ParamsEntry")


class Params(BaseModel):
    """The contents of params.yaml: data sources, domains, targets, bases, recipes, comparisons and schedules."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    default_target: str
    project: Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9_-]{0,62})?$")] = ""
    """name of the project on servers that it shares with others; it precedes the names of deployments, models and experiments"""
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
    """Read and check params.yaml. Raises InputError with the file, the line, the entry and a correction."""
    document = read_yaml(path)
    try:
        params = Params.model_validate(document.value)
    except ValidationError as error:
        raise explain(document, error, Params) from error
    check_values(document, params)
    for place, what, mend in mistakes(params):
        document.refuse(place, what, mend)
    return params


def mistakes(params: Params) -> Iterator[Mistake]:
    """The entries that contradict others: names that are reserved or not declared, pairs that say nothing, impossible variants."""
    for block in NAMED:
        for name in getattr(params, block):
            yield from name_mistakes(block, name)
    for name, target in params.targets.items():
        yield from name_mistakes("targets", target.domain, (name, "domain"))
        yield from unknown(("targets", name, "recipe"), target.recipe, (AUTO, *params.recipes))
    yield from source_mistakes(params.sources)
    yield from pair_mistakes(params.pairs, {f"{target.domain}/{name}" for name, target in params.targets.items()})
    for name, base in params.bases.items():
        yield from base_mistakes(name, base)
    for name, recipe in params.recipes.items():
        for field, value, known in recipe_names(recipe, params.bases, params.targets):
            yield from unknown(("recipes", name, *field), value, known)
    for name, comparison in params.comparisons.items():
        yield from comparison_mistakes(name, comparison, params)
    for name, operation in params.operations.items():
        yield from unknown(("operations", name), name, params.targets)
        if operation.recipe is not None:
            yield from unknown(("operations", name, "recipe"), operation.recipe, (AUTO, *params.recipes))
    for index, block in enumerate(params.notify):
        if not re.fullmatch(r"[^/\s]+/[^/\s]+", block):
            yield (
                ("notify", index),
                f"{shown(block)} is not the name of a block",
                "Write `type/name`, such as slack-webhook/team",
            )
    yield from unknown(("default_target",), params.default_target, params.targets)


def _named(known: dict[str, ParamsEntry], name: str, what: str) -> ParamsEntry:
    if name not in known:
        raise InputError(f"{what} {name!r}", "not declared in params.yaml", choices(name, known))
    return known[name]
