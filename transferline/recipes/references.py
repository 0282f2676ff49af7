"""Checks of params.yaml that compare entries with one another: names that others use, pairs, varied settings."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Protocol

from transferline.core.errors import InputError, choices, shown
from transferline.data.declarations import PairSpec, TargetSpec
from transferline.data.source_declarations import HubSource, Source
from transferline.models.families import Family
from transferline.models.random_init import RandomBase
from transferline.recipes.comparison import MOST_VARIANTS, Comparison, changed
from transferline.recipes.recipe import OTHER, Recipe
from transferline.recipes.registry import Base

AUTO = "auto"  # in place of a recipe: the winner of the last comparison
NAMED = ("sources", "domains", "targets", "pairs", "bases", "recipes", "audits", "comparisons")
RESERVED = {("recipes", "own"), ("recipes", AUTO), ("targets", OTHER)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NO_TEXT = re.compile(
    r"[0-9]+[eE][0-9]+|true|false|null", re.IGNORECASE
)  # DVC reads these as a number, a boolean or nothing

Place = tuple[object, ...]
Mistake = tuple[Place, str, str]
"""(place in params.yaml, cause, correction)"""


class Declarations(Protocol):
    """The blocks of params.yaml that a comparison refers to."""

    @property
    def bases(self) -> Mapping[str, Base]: ...
    @property
    def recipes(self) -> Mapping[str, Recipe]: ...
    @property
    def targets(self) -> Mapping[str, TargetSpec]: ...


def name_mistakes(block: str, name: str, field: Place | None = None) -> Iterator[Mistake]:
    """A name that cannot be used. Names become folders, model names, and words of a shell command."""
    place = (block, name) if field is None else (block, *field)
    if (block, name) in RESERVED and field is None:
        yield place, f"{name!r} is a reserved name", "Give it another name"
    if not _NAME.fullmatch(name) or _NO_TEXT.fullmatch(name):
        what = f"{shown(name)} is not a valid name"
        yield place, what, "Use at most 100 letters, digits, - and _, and neither a number nor true, false or null"


def unknown(place: Place, name: str, known: Collection[str]) -> Iterator[Mistake]:
    """A name that is not declared."""
    if name not in known:
        yield place, f"{shown(name)} is not declared", choices(name, known)


def source_mistakes(sources: Mapping[str, Source]) -> Iterator[Mistake]:
    """Files of a source that would be written outside its folder."""
    for name, source in sources.items():
        is_hub = isinstance(source, HubSource)
        field, files = ("splits", source.splits) if isinstance(source, HubSource) else ("files", tuple(source.files))
        for index, file in enumerate(files):
            parts = PurePosixPath(file).parts
            if not parts or file.startswith("/") or ".." in parts or "\\" in file:
                place = ("sources", name, field, index if is_hub else file)
                yield (
                    place,
                    f"{shown(file)} is not a file inside the source's folder",
                    "Write a relative path without `..`",
                )
        if not files:
            yield ("sources", name, field), "it names no file", "Name one at least"


def pair_mistakes(pairs: Mapping[str, PairSpec], known: Collection[str]) -> Iterator[Mistake]:
    """Pairs of unknown targets, of a target with itself, and pairs that are declared twice."""
    first: dict[tuple[str, str], str] = {}
    for name, pair in pairs.items():
        for side in ("source", "target"):
            yield from unknown(("pairs", name, side), getattr(pair, side), known)
        if pair.source == pair.target:
            yield ("pairs", name), f"it pairs {pair.source!r} with itself", "Name another source"
        before = first.setdefault((pair.source, pair.target), name)
        if before != name:
            yield ("pairs", name), f"it repeats the pair {before!r}", "Remove one of the two"


def base_mistakes(name: str, base: Base) -> Iterator[Mistake]:
    """A base whose declared family does not exist."""
    declared = base.known_family() if isinstance(base, RandomBase) else base.family
    if declared is None:
        return
    field = ("config", "model_type") if isinstance(base, RandomBase) else ("family",)
    try:
        Family(declared).shape  # noqa: B018 - raises InputError if there is none
    except InputError as error:
        yield ("bases", name, *field), f"{error.where}: {error.what}", error.mend


def recipe_names(
    recipe: Recipe, bases: Collection[str], targets: Collection[str]
) -> Iterator[tuple[Place, str, Collection[str]]]:
    """(field, name, known names) of each base and each source task that a recipe refers to."""
    yield ("base",), recipe.base, bases
    student = recipe.tune.starts_from()
    if student is not None:
        yield ("tune", "student"), student, bases
    for index, stage in enumerate(recipe.stages):
        field = ("adapt", index) if index < len(recipe.adapt) else ("tune" if stage is recipe.tune else "instances",)
        for source_task in stage.source_task_names():
            yield (*field, "source_tasks"), source_task, (OTHER, *targets)


def comparison_mistakes(name: str, comparison: Comparison, params: Declarations) -> Iterator[Mistake]:
    """Recipes and source tasks of a comparison that are not declared, and varied settings that its recipes lack."""
    for index, recipe in enumerate(comparison.recipes):
        yield from unknown(("comparisons", name, "recipes", index), recipe, params.recipes)
    for index, task in enumerate(comparison.source_tasks):
        yield from unknown(("comparisons", name, "source_tasks", index), task, params.targets)
    count = math.prod(len(values) for values in comparison.vary.values())
    if count > MOST_VARIANTS:
        what = f"{count} combinations of values are more than {MOST_VARIANTS}"
        yield ("comparisons", name, "vary"), what, "Vary fewer values"
        return
    for path, values in comparison.vary.items():
        refused = [
            [*_variant_mistakes(params, recipe, path, values)] for recipe in comparison.recipes or tuple(params.recipes)
        ]
        # a comparison that names no recipe takes those that it can
        if refused and (comparison.recipes or all(refused)):
            for what, mend in next((found for found in refused if found), []):
                yield ("comparisons", name, "vary", path), what, mend


def _variant_mistakes(
    params: Declarations, name: str, path: str, values: tuple[object, ...]
) -> Iterator[tuple[str, str]]:
    """(cause, correction) for each value that a recipe does not take at a path."""
    for value in values if name in params.recipes else ():
        try:
            variant = changed(params.recipes[name], {path: value}, f"recipe {name!r}")
        except InputError as error:
            yield f"{error.where}: {error.what}", error.mend
            continue
        for _, word, known in recipe_names(variant, params.bases, params.targets):
            for _, what, mend in unknown((), word, known):
                yield f"recipe {name!r}: {what}", mend
