"""Comparisons in params.yaml: the recipes, label budgets, seeds and cost limits of `transferline compare`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from transferline.core.errors import InputError, choices, shown
from transferline.core.former_names import present_name, with_present_names
from transferline.data.declarations import Seeds
from transferline.recipes.conversions import conversions
from transferline.recipes.recipe import OTHER, Recipe

Budget = Annotated[float, Field(gt=0)]
MOST = 1000  # trials or seeds: more are a mistake
MOST_VARIANTS = 1000  # combinations of varied values
FROM = " from "  # between the name of a recipe and the source task that a comparison puts into it


class Comparison(BaseModel):
    """One comparison of recipes on a target."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

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
    seeds: Seeds = 3
    """number of seeds per recipe"""
    trials: Annotated[int, Field(ge=1, le=MOST)] = 1
    """number of hyperparameter settings (learning rate, epochs) to try for each recipe, its own included; validation chooses"""
    halving: Annotated[int, Field(ge=0, le=MOST)] = 0
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

    @field_validator("budgets")
    @classmethod
    def _whole(cls, budgets: tuple[float, ...]) -> tuple[float, ...]:
        wrong = [budget for budget in budgets if budget >= 1 and budget != int(budget)]
        if wrong:
            raise ValueError(f"a budget of {wrong[0]} labels is not a whole number")
        return budgets

    @field_validator("recipes", "source_tasks", "budgets")
    @classmethod
    def _named_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = [value for index, value in enumerate(values) if value in values[:index]]
        if twice:
            raise ValueError(f"{shown(twice[0])} is named twice")
        return values

    @field_validator("vary")
    @classmethod
    def _varies(cls, vary: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for path, values in vary.items():
            if not values:
                raise ValueError(f"{shown(path)} has no values to try")
            cls._named_once(tuple(map(str, values)))
        return vary

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
        place, last = _parent(whole, path, who)
        place[last] = value
    try:
        made = Recipe.model_validate(whole)
    except ValidationError as error:
        what = f"{', '.join(changes)}: {error.errors()[0]['msg']}"
        raise InputError(who, what, "Choose another value") from error
    dumped = made.model_dump(mode="json")
    for path, value in changes.items():
        place, last = _parent(dumped, path, who)
        for _, (what, mend) in conversions(value, place[last], (path,)):
            raise InputError(who, f"{path}: {what}", mend)
    return made


def _parent(whole: Any, path: str, who: str) -> tuple[Any, Any]:
    """The list or mapping that holds the value at a path, and its index or key. Raises InputError if there is none."""
    place, last = whole, None
    for part in present_name(path).split("."):
        place = place if last is None else place[last]
        last = _key(place, part, who, path)
    return place, last


def _key(place: Any, part: str, who: str, path: str) -> Any:
    """The index or key of one part of a path."""
    keys: list[Any] = [*range(len(place))] if isinstance(place, list) else [*place] if isinstance(place, dict) else []
    found = [key for key in keys if str(key) == part]
    if not found:
        mend = f"Leave the recipe out, or vary another field. {choices(part, map(str, keys))}"
        raise InputError(who, f"it has no field {shown(path)}", mend)
    return found[0]
