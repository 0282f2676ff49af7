"""Rank the admissible recipes before training, each with its expected score, its cost and the reason.

The diagnosis measures methods on frozen features. The effect of training is not known before training. Each method declares it as
a prior (core/flops.py): small, the same for every target, and taken from published results and the comparisons in
docs/which-transfer-pays.md. `transferline compare` makes the final decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transferline.core.stage import Stage, name_of
from transferline.recipes.recipe import Recipe

ALIKE = 0.004  # expected scores that differ by less are ties, and the simpler recipe comes first
FEW, ENOUGH, MANY = 10, 40, 400  # examples per label
LIFT = {FEW: -0.02, ENOUGH: 0.0, MANY: 0.02}  # examples per label below a bound -> gain of fine-tuning over a probe
LIFT_OF_MANY = 0.03
WITHIN = " (within the noise of the folds)"


@dataclass(frozen=True)
class Advice:
    """Advice on one recipe.

    `expected` is the expected score, or None if nothing was measured. `flops` is an upper bound for all seeds, `why` the reason.
    """

    recipe: str
    expected: float | None
    flops: float
    why: str


def rank(
    recipes: Mapping[str, Recipe], seen: Mapping[str, Mapping[str, Any]], flops: Mapping[str, float]
) -> list[Advice]:
    """Rank recipes, best first. `seen` maps the name of a base to its diagnosis, `flops` the name of a recipe to its cost.

    Recipes without an expected score come last, the cheapest first.
    """
    made = []
    for name, recipe in recipes.items():
        expected, why = expect(recipe, seen.get(recipe.base))
        made.append(Advice(name, expected, flops[name], why))
    stages = {name: len(recipe.stages) for name, recipe in recipes.items()}
    known = sorted((a for a in made if a.expected is not None), key=lambda a: _order(a, stages[a.recipe]))
    return [*known, *sorted((a for a in made if a.expected is None), key=lambda a: a.flops)]


def _order(advice: Advice, stages: int) -> tuple[float, ...]:
    """Sort key: the expected score, then the number of stages, then the cost. Costs within a factor of two are ties."""
    return -round((advice.expected or 0.0) / ALIKE), stages, round(math.log2(max(advice.flops, 1.0)))


def expect(recipe: Recipe, seen: Mapping[str, Any] | None) -> tuple[float | None, str]:
    """The expected score of a recipe, or None, and the reason. `seen` is the diagnosis of its base."""
    if seen is None:
        return None, f"base {recipe.base!r} was not diagnosed"
    if "probe" not in seen:
        return None, "targets of this kind have no measurement before training; the cheapest recipe comes first"
    depth = len(seen["layers"])
    wrong = [layer for layer in recipe.tune.feature_layers() if not -depth <= layer < depth]
    if wrong:
        return None, f"the base has no layer {wrong[0]}: it cannot be built"
    score, why = _features(recipe, seen)
    if not recipe.tune.prior.frozen:
        lift, reason = _lift(per_label(recipe, seen))
        score += lift - recipe.tune.prior.below_full
        why = f"{why}; {reason}"
    for stage in recipe.adapt:
        change, reason = _adaptation(stage, seen)
        score += change
        why = f"{why}; {reason}"
    return score, why


def _features(recipe: Recipe, seen: Mapping[str, Any]) -> tuple[float, str]:
    """The score of a probe on frozen features, with the source examples that the recipe uses, and the reason."""
    own = seen["probe"]["score"]
    if layers := recipe.tune.feature_layers():
        best = max(seen["layers"][layer]["score"] for layer in layers)
        gain = beyond_noise(best - own, seen["probe"]["error"])
        return own + gain, f"a probe on the best of its layers scores {best:.3f}{WITHIN if not gain else ''}"
    stage = recipe.instances or recipe.tune
    how = stage.prior.source_probe
    for source_task in stage.source_task_names():
        entry = seen.get("sources", {}).get(source_task, {})
        if entry.get("swapped"):
            return own, f"a probe scores {own:.3f}; {_swapped(source_task)}"
        if how in entry:
            gain = beyond_noise(entry[how]["score"] - own, seen["probe"]["error"])
            kept = gain * stage.prior.source_share
            noise = "" if gain else WITHIN
            return (
                own + kept,
                f"a probe scores {own:.3f}, with examples of {source_task} {entry[how]['score']:.3f}{noise}",
            )
        differs = "other labels" if entry else "other columns"
        return own, f"a probe scores {own:.3f}; {source_task} has {differs}, so its effect is not known"
    return own, f"a probe scores {own:.3f}"


def _swapped(source_task: str) -> str:
    return f"the labels of {source_task} look swapped, so it teaches wrong ones"


def beyond_noise(gain: float, error: float) -> float:
    """Shrink a difference towards zero by one standard error."""
    return math.copysign(max(0.0, abs(gain) - error), gain)


def per_label(recipe: Recipe, seen: Mapping[str, Any]) -> float:
    """Training examples per label: the target's own, plus source examples with the same labels."""
    source_tasks = recipe.instances.source_task_names() if recipe.instances else ()
    entries = [seen.get("sources", {}).get(source_task, {}) for source_task in source_tasks]
    source_examples = sum(entry.get("rows", 0) for entry in entries if entry.get("same_labels"))
    return float(seen["per_label"] + source_examples / max(1, seen.get("labels", 1)))


def _lift(examples: float) -> tuple[float, str]:
    """The prior gain of fine-tuning over a probe with so many examples per label, and the reason."""
    for bound, lift in LIFT.items():
        if examples < bound:
            effect = f"{'risks' if lift < 0 else 'may add'} {abs(lift):.2f}"
            return lift, f"{examples:.0f} examples per label: fine-tuning {effect}"
    return LIFT_OF_MANY, f"{examples:.0f} examples per label: fine-tuning may add {LIFT_OF_MANY:.2f}"


def _adaptation(stage: Stage, seen: Mapping[str, Any]) -> tuple[float, str]:
    """The expected gain of a stage before the tuning, and the reason."""
    method = name_of(type(stage))
    for source_task in stage.source_task_names():
        entry = seen.get("sources", {}).get(source_task, {})
        if entry.get("swapped"):
            return 0.0, _swapped(source_task)
        if "zero_shot" in entry:
            gain = beyond_noise(entry["pooled"]["score"] - seen["probe"]["score"], seen["probe"]["error"])
            kept = max(0.0, gain) * stage.prior.source_share
            return kept, f"a probe trained on {source_task} alone scores {entry['zero_shot']:.3f} here"
        return 0.0, f"the effect of training on {source_task} is not known"
    if stage.kind == "select":
        return 0.0, "it selects the nearest texts of the corpus"
    if stage.prior.new_head and seen["perplexity"] is None:
        return -stage.prior.new_head, f"{method} adaptation adds a new head to this encoder, which has none of its own"
    distance = seen["divergence"].get("corpus", {}).get("distance", 0.0)
    return 0.0, f"{method} adaptation: no measurement shows a gain (corpus at distance {distance:.2f})"
