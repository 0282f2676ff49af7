"""How to transfer: the admissible recipes in an order, each with what it may be expected to score, its cost, and why.

What rests on frozen features is measured in the diagnosis. What training adds to them is not known before training; here it is a
declared prior, small and the same for every target, from published results and from the comparisons in
docs/which-transfer-pays.md. `transferline compare` is what decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transferline.core.stage import Stage, name_of
from transferline.methods.feature import Extraction
from transferline.recipes.recipe import Recipe

ALIKE = 0.004  # expected scores nearer than this are one, and the simpler recipe comes first
FEW, ENOUGH, MANY = 10, 40, 400  # examples a label
LIFT = {FEW: -0.02, ENOUGH: 0.0, MANY: 0.02}  # of fine-tuning over a probe below so many examples a label
LIFT_OF_MANY = 0.03
# of a method against full fine-tuning: cheaper ways reach a little less (Houlsby et al. 2019, table 1; Hu et al. 2022, table 2)
BELOW_FULL = {
    "freeze": 0.005,
    "lora": 0.008,
    "adapter": 0.008,
    "bitfit": 0.01,
    "prefix": 0.02,
    "prompt": 0.05,
    "distill": 0.02,
    "reinitialise": 0.05,
    "progressive": 0.03,
    "auxiliary": 0.0,
    "cross-stitch": 0.01,
}
FROZEN = ("probe", "extraction", "coral", "common-space", "forest", "refitted-forest")
WITHIN = " (within the noise of the folds)"
NEW_HEAD = 0.01  # what a masked language model with a head of its own costs an encoder that came without one


@dataclass(frozen=True)
class Advice:
    """One recipe: the score to expect (None where nothing was measured), FLOPs of all seeds at most, and the reason."""

    recipe: str
    expected: float | None
    flops: float
    why: str


def rank(
    recipes: Mapping[str, Recipe], seen: Mapping[str, Mapping[str, Any]], flops: Mapping[str, float]
) -> list[Advice]:
    """All recipes, best first; `seen` is the diagnosis of each base that was looked at."""
    made = []
    for name, recipe in recipes.items():
        expected, why = expect(recipe, seen.get(recipe.base))
        made.append(Advice(name, expected, flops[name], why))
    stages = {name: len(recipe.stages) for name, recipe in recipes.items()}
    known = sorted((a for a in made if a.expected is not None), key=lambda a: _order(a, stages[a.recipe]))
    return [*known, *sorted((a for a in made if a.expected is None), key=lambda a: a.flops)]


def _order(advice: Advice, stages: int) -> tuple[float, ...]:
    """By what is expected; among those alike the simpler, then the cheaper, where less than twice as dear is alike too."""
    return -round((advice.expected or 0.0) / ALIKE), stages, round(math.log2(max(advice.flops, 1.0)))


def expect(recipe: Recipe, seen: Mapping[str, Any] | None) -> tuple[float | None, str]:
    """(expected score, reason) of a recipe."""
    if seen is None:
        return None, f"base {recipe.base!r} was not looked at"
    if "probe" not in seen:
        return None, "nothing is measured before training on targets of this kind: the cheaper first"
    method = name_of(type(recipe.tune))
    depth = len(seen["layers"])
    asked = recipe.tune.layers if isinstance(recipe.tune, Extraction) else ()
    wrong = [layer for layer in asked if not -depth <= layer < depth]
    if wrong:
        return None, f"the base has no layer {wrong[0]}: it cannot be built"
    score, why = _features(recipe, method, seen)
    if method not in FROZEN:
        lift, said = _lift(per_label(recipe, seen))
        score += lift - BELOW_FULL.get(method, 0.0)
        why = f"{why}; {said}"
    for stage in recipe.adapt:
        change, said = _adaptation(stage, seen)
        score += change
        why = f"{why}; {said}"
    return score, why


def _features(recipe: Recipe, method: str, seen: Mapping[str, Any]) -> tuple[float, str]:
    """What the frozen features say, with the sources that the recipe takes examples from."""
    own = seen["probe"]["score"]
    if isinstance(recipe.tune, Extraction):
        best = max(seen["layers"][layer]["score"] for layer in recipe.tune.layers)
        gain = beyond_noise(best - own, seen["probe"]["error"])
        return own + gain, f"the best of its layers answers {best:.3f}{WITHIN if not gain else ''}"
    source_tasks = recipe.instances.source_task_names() if recipe.instances else recipe.tune.source_task_names()
    how = "coral" if method == "coral" else "pooled"
    for source_task in source_tasks:
        entry = seen.get("sources", {}).get(source_task, {})
        if how in entry:
            gain = beyond_noise(entry[how]["score"] - own, seen["probe"]["error"])
            kept = gain if recipe.instances or method == "coral" else gain / 2
            told = "" if gain else WITHIN
            return (
                own + kept,
                f"a probe answers {own:.3f}, with {source_task} beside it {entry[how]['score']:.3f}{told}",
            )
        differs = "other labels" if entry else "other columns"
        return own, f"a probe answers {own:.3f}; {source_task} has {differs}, and what it adds is not known"
    return own, f"a probe answers {own:.3f}"


def beyond_noise(gain: float, error: float) -> float:
    """What is left of a difference beyond one standard error."""
    return math.copysign(max(0.0, abs(gain) - error), gain)


def per_label(recipe: Recipe, seen: Mapping[str, Any]) -> float:
    """Examples a label that the tuning learns from: the target's own, and those borrowed that have its labels."""
    source_tasks = recipe.instances.source_task_names() if recipe.instances else ()
    entries = [seen.get("sources", {}).get(source_task, {}) for source_task in source_tasks]
    source_examples = sum(entry.get("rows", 0) for entry in entries if entry.get("same_labels"))
    return float(seen["per_label"] + source_examples / max(1, seen.get("labels", 1)))


def _lift(examples: float) -> tuple[float, str]:
    for bound, lift in LIFT.items():
        if examples < bound:
            return (
                lift,
                f"{examples:.0f} examples a label: fine-tuning {'risks' if lift < 0 else 'may add'} {abs(lift):.2f}",
            )
    return LIFT_OF_MANY, f"{examples:.0f} examples a label: fine-tuning may add {LIFT_OF_MANY:.2f}"


def _adaptation(stage: Stage, seen: Mapping[str, Any]) -> tuple[float, str]:
    """What a stage before the tuning may change."""
    method = name_of(type(stage))
    for source_task in stage.source_task_names():
        entry = seen.get("sources", {}).get(source_task, {})
        if "zero_shot" in entry:
            gain = beyond_noise(entry["pooled"]["score"] - seen["probe"]["score"], seen["probe"]["error"])
            return max(0.0, gain) / 2, f"{source_task} alone answers {entry['zero_shot']:.3f} here"
        return 0.0, f"what {source_task} teaches is not known"
    if stage.kind == "select":
        return 0.0, "of the corpus what is nearest"
    if method in ("masked", "next-sentence") and seen["perplexity"] is None:
        return -NEW_HEAD, f"{method} adaptation gives this encoder a head that it came without"
    far = seen["divergence"].get("corpus", {}).get("distance", 0.0)
    return 0.0, f"{method} adaptation: nothing measured says that it pays (corpus at distance {far:.2f})"
