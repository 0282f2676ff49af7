"""What params.yaml may say about a comparison: which recipes, how many labels, how many seeds, and how much it may cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from transferline.core.errors import InputError
from transferline.recipes.recipe import OTHER, Recipe

Budget = Annotated[float, Field(gt=0)]
FROM = " from "  # between a recipe's name and the lender that a comparison puts into it


class Comparison(BaseModel):
    """A question to a target: which of these recipes, with how many labels."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    about: str = ""
    recipes: tuple[str, ...] = ()
    """names of recipes; empty: all that the target and its base admit"""
    vary: dict[str, tuple[Any, ...]] = {}
    """path inside a recipe -> values: every recipe once with each, e.g. `adapt.0.tokens: [50000, 200000]`"""
    budgets: tuple[Budget, ...] = ()
    """label budgets beside all labels: counts, or shares below 1"""
    labels: Annotated[int, Field(ge=1)] | None = None
    """what "all labels" means here, if the target is to be taken for one that has no more; what it lends others stays whole"""
    lenders: tuple[str, ...] = ()
    """source targets that stand, each in a recipe of its own, where a recipe says `other`; empty: all that a pair lends"""
    seeds: Annotated[int, Field(ge=3)] = 3
    trials: Annotated[int, Field(ge=1)] = 1
    """settings of rate and epochs tried for each recipe, its own among them; validation chooses"""
    halving: Annotated[int, Field(ge=0)] = 0
    """successive halving: the factor by which each rung thins the field out (3 is usual); 0: nobody is dropped"""
    compute: Literal["declared", "equal"] = "declared"
    """equal: cheaper recipes train for more epochs, until all have cost as many FLOPs as the dearest"""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """stop before what would exceed this time"""
    flops: Annotated[float, Field(gt=0)] | None = None
    """stop before what would exceed this much training"""

    @field_validator("halving")
    @classmethod
    def _halves(cls, factor: int) -> int:
        if factor == 1:
            raise ValueError("halving: a factor of 1 drops nobody; use 0, or 2 and more")
        return factor

    def counts(self, rows: int, fewest: int = 1) -> tuple[int, ...]:
        """Budgets in examples, ascending, all of the `rows` last. It takes `fewest` to show every label: a share means at least as
        many. Raises InputError on a count that is fewer, or more than there are."""
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
    """Every recipe with every value of every varied path; the recipes themselves where nothing is varied."""
    made = dict(recipes)
    for path, values in vary.items():
        made = {
            f"{name} {path.rsplit('.', 1)[-1]}={value}": changed(recipe, {path: value}, f"recipe {name!r}")
            for name, recipe in made.items()
            for value in values
        }
    return made


def from_lenders(recipes: Mapping[str, Recipe], lenders: Sequence[str]) -> dict[str, Recipe]:
    """Every recipe that says `other` once with each lender in its place, as `NAME from LENDER`; the rest as they are."""
    made = {}
    for name, recipe in recipes.items():
        if OTHER not in recipe.borrows():
            made[name] = recipe
            continue
        for lender in lenders:
            made[f"{name}{FROM}{lender}"] = Recipe.model_validate(_replaced(recipe.model_dump(mode="json"), lender))
    return made


def _replaced(value: Any, lender: str) -> Any:
    """A recipe as plain values with a lender for `other`, wherever lenders are named."""
    if not isinstance(value, dict):
        return [_replaced(one, lender) for one in value] if isinstance(value, list) else value
    named = {"lender": lender, "lenders": [lender]}
    return {
        key: named[key]
        if key in named and OTHER in (one if isinstance(one, list) else [one])
        else _replaced(one, lender)
        for key, one in value.items()
    }


def changed(recipe: Recipe, changes: Mapping[str, Any], who: str) -> Recipe:
    """A recipe with other values at some paths. Raises InputError where there is no such path or value."""
    whole = recipe.model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = path.split(".")
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
    try:
        return place[int(part)] if isinstance(place, list) else place[part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise InputError(who, f"there is no {path!r} in it", "Leave the recipe out, or vary something else") from None
