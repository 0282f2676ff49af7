"""Ablation: the gain of each stage of a recipe, measured by adding one stage at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transferline.core.stage import name_of
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import Interval
from transferline.recipes.recipe import Recipe
from transferline.tournament.statistics import Difference, Scores


@dataclass(frozen=True)
class Added:
    """One stage: the score of the chain up to it, and the difference to the chain without it (None for the first)."""

    stage: str
    score: Interval
    difference: Difference | None


def prefixes(name: str, recipe: Recipe) -> dict[str, Recipe]:
    """The recipe cut after each adaptation stage but the last, by name. A cut after a selection of texts is left out."""
    cuts = [n for n in range(1, len(recipe.adapt)) if recipe.adapt[n - 1].kind != "select"]
    return {f"{name} up to {name_of(type(recipe.adapt[n - 1]))}": _cut(recipe, n) for n in cuts}


def _cut(recipe: Recipe, count: int) -> Recipe:
    return recipe.model_copy(update={"adapt": recipe.adapt[:count], "about": ""})


def ablate(
    metric: str,
    recipe: Recipe,
    scratch: Sequence[Predictions],
    twin: Sequence[Predictions],
    between: Mapping[str, Sequence[Predictions]],
    whole: Sequence[Predictions],
) -> list[Added]:
    """Scores along a chain: random weights, then the base's weights, then each adaptation stage. Each has one model per seed."""
    stages = {"random weights": scratch, f"+ weights of {recipe.base}": twin}
    for name, made in between.items():
        stages[f"+ {name.rsplit(' ', 1)[-1]}"] = made
    if recipe.adapt:
        last = f"+ {name_of(type(recipe.adapt[-1]))}"
        stages[last if last not in stages else f"{last} again"] = whole
    scores = Scores(metric, stages)
    order = list(stages)
    return [
        Added(name, scores.interval(name), scores.difference(name, order[i - 1]) if i else None)
        for i, name in enumerate(order)
    ]
