"""Comparisons in params.yaml: the recipes, label budgets, seeds and cost limits of `transferline compare`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from transferline.core.errors import InputError
from transferline.core.former_names import present_name, with_present_names
from transferline.recipes.recipe import OTHER, Recipe

Budget = Annotated[float, Field(gt=0)]
FROM = " from "  # between the name of a recipe and the source task that a comparison puts into it


class Comparison(BaseModel):
    """One comparison of recipes on a target."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    about: str = ""
    recipes: tuple[str, ...] = ()
    """names of recipes; empty: all recipes that the target and its base admit"""
    vary: dict[str, tuple[Any, ...]] = {}
    """path inside a recipe -> values to try in every recipe, e.g. `adapt.0.tokens: [50000, 200000]`"""
    budgets: tuple[Budget, ...] = ()
    """label budgets to compare in addition to all labels: counts, or shares below 1"""
    labels: Annotated[int, Field(ge=1)] | None = None
    """maximum number of labels, to treat the target as a smaller one; as a source task it keeps all of its labels"""
    source_tasks: tuple[str, ...] = ()
    """source tasks to put in place of `other`, each in its own recipe; empty: all that a pair declares for the target"""
    seeds: Annotated[int, Field(ge=3)] = 3
    """number of seeds per recipe"""
    trials: Annotated[int, Field(ge=1)] = 1
    """number of hyperparameter settings (learning rate, epochs) to try for each recipe, its own included; validation chooses"""
    halving: Annotated[int, Field(ge=0)] = 0
    """reduction factor of successive halving (usually 3); 0: keep all recipes"""
    compute: Literal["declared", "equal"] = "declared"
    """equal: train cheaper recipes for more epochs, until all cost as many FLOPs as the most expensive recipe"""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """time limit; models that would exceed it are not built"""
    flops: Annotated[float, Field(gt=0)] | None = None
    """limit of training FLOPs; models that would exceed it are not built"""

    @model_validator(mode="before")
    @classmethod
    def _present(cls, given: Any) -> Any:
        return with_present_names(given)

    @field_validator("halving")
    @classmethod
    def _halves(cls, factor: int) -> int:
        if factor == 1:
            raise ValueError("halving: a factor of 1 drops no recipe; use 0, or 2 and more")
        return factor

    def counts(self, rows: int, fewest: int = 1) -> tuple[int, ...]:
        """Label budgets as numbers of examples, ascending; the last is all `rows`, or `labels` if set.

        `fewest` is the number of examples needed to contain every label once. A share is rounded up to at least `fewest`. Raises
        InputError on a count below `fewest` or above `rows`.
        """
        if self.labels is not None and self.labels > rows:
            what = f"{self.labels} labels are more than the {rows} of the training split"
            raise InputError("labels", what, "Ask for fewer, or leave it out")
        rows = self.labels or rows
        wanted = {max(math.ceil(b * rows), fewest) if b < 1 else round(b) for b in self.budgets} | {rows}
        too_many = sorted(count for count in wanted if count > rows)
        if too_many:
            what = f"{too_many[0]} labels are more than the {rows} of the training split"
            raise InputError("budgets", what, "Ask for fewer, or for shares below 1")
        if min(wanted) < fewest:
            what = f"a budget of {min(wanted)} labels cannot contain each of {fewest} labels once"
            raise InputError("budgets", what, f"Ask for {fewest} or more")
        return tuple(sorted(wanted))


def variants(recipes: Mapping[str, Recipe], vary: Mapping[str, tuple[Any, ...]]) -> dict[str, Recipe]:
    """Every recipe with every combination of the varied values, by name; the recipes unchanged if `vary` is empty."""
    made = dict(recipes)
    for path, values in vary.items():
        made = {
            f"{name} {path.rsplit('.', 1)[-1]}={value}": changed(recipe, {path: value}, f"recipe {name!r}")
            for name, recipe in made.items()
            for value in values
        }
    return made


def from_source_tasks(recipes: Mapping[str, Recipe], source_tasks: Sequence[str]) -> dict[str, Recipe]:
    """Replace `other` in each recipe by each source task, as `NAME from SOURCE`. Recipes without `other` are kept unchanged."""
    made = {}
    for name, recipe in recipes.items():
        if OTHER not in recipe.source_task_names():
            made[name] = recipe
            continue
        for source_task in source_tasks:
            made[f"{name}{FROM}{source_task}"] = Recipe.model_validate(
                _replaced(recipe.model_dump(mode="json"), source_task)
            )
    return made


def _replaced(value: Any, source_task: str) -> Any:
    """A dumped recipe with a source task in place of `other`, in all nested fields."""
    if not isinstance(value, dict):
        return [_replaced(one, source_task) for one in value] if isinstance(value, list) else value
    named = {"source_task": source_task, "source_tasks": [source_task]}
    return {
        key: named[key]
        if key in named and OTHER in (one if isinstance(one, list) else [one])
        else _replaced(one, source_task)
        for key, one in value.items()
    }


def changed(recipe: Recipe, changes: Mapping[str, Any], who: str) -> Recipe:
    """A copy of a recipe with other values at some paths. Raises InputError on an unknown path or an invalid value."""
    whole = recipe.model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = present_name(path).split(".")
        place: Any = whole
        for part in parents:
            place = _into(place, part, who, path)
        _into(place, last, who, path)
        place[int(last) if isinstance(place, list) else last] = value
    try:
        return Recipe.model_validate(whole)
    except ValidationError as error:
        what = f"{', '.join(changes)}: {error.errors()[0]['msg']}"
        raise InputError(who, what, "Choose another value") from error


def _into(place: Any, part: str, who: str, path: str) -> Any:
    """One item of a list or a mapping by the next part of a path."""
    try:
        return place[int(part)] if isinstance(place, list) else place[part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise InputError(who, f"it has no field {path!r}", "Leave the recipe out, or vary another field") from None
