"""The last decision of `compare` about a target: an artifact of its MLflow run, refused where it is stale."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError
from transferline.recipes.chain import Data
from transferline.recipes.recipe import Recipe
from transferline.tasks.support.outbox import patiently
from transferline.tasks.support.tracking import client

DECISION = "decision.json"


@dataclass(frozen=True)
class RecordedDecision:
    """A recipe that a comparison decided for, its name there, and the MLflow run that holds the decision."""

    name: str
    recipe: Recipe
    run: str


def last_decision(target: str) -> dict[str, Any]:
    """The newest decision about a target. Raises InputError where there is none."""
    return patiently(lambda: _last(target), "looking up the decision")


def _last(target: str) -> dict[str, Any]:
    import mlflow

    experiment = client().get_experiment_by_name(target)
    query = "tags.`transferline.kind` = 'compare' and attributes.status = 'FINISHED'"
    order = ["attributes.start_time DESC"]
    found = client().search_runs([experiment.experiment_id], query, order_by=order, max_results=1) if experiment else []
    if not found:
        what = "`recipe: auto` takes the last decision, and there is none"
        raise InputError(f"target {target!r}", what, f"Run `transferline compare {target}` first")
    with tempfile.TemporaryDirectory() as scratch:
        uri = f"runs:/{found[0].info.run_id}/{DECISION}"
        path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=scratch))
        return json.loads(path.read_text(encoding="utf-8"))


def settle(decision: Mapping[str, Any], data: Data, base: str, declared: Mapping[str, Recipe]) -> RecordedDecision:
    """The recipe of a decision. Raises InputError where it ships nothing, or was reached on other data, another base or recipe.

    `base` is the key of the base that params.yaml means today by the decision's name for it.
    """
    target, again = (
        decision["target"],
        f"Run `transferline compare {decision['target']} {decision['comparison']}` again",
    )
    who = f"target {target!r}, decision of {decision['created']}"
    if decision["ship"] is None:
        raise InputError(who, f"it ships nothing: {decision['headline']}", f"{again}, or name a recipe")
    now = {role: pin.md5 for role, pin in data.items()}
    looked_at = {role for role in decision["data"] if "/" not in role}  # other recipes' sources are no matter
    other = sorted(role for role in {*now, *looked_at} if now.get(role) != decision["data"].get(role))
    if other:
        raise InputError(who, f"it is stale: it was reached on other data ({', '.join(other)})", again)
    if base != decision["base"]["key"]:
        raise InputError(who, f"it is stale: base {decision['base']['name']!r} is another one now", again)
    recipe = Recipe.model_validate(decision["recipe"])
    known = declared.get(decision["ship"])
    if known is not None and known != recipe:
        raise InputError(who, f"it is stale: recipe {decision['ship']!r} has been changed since", again)
    return RecordedDecision(decision["ship"], recipe, decision["run"])
