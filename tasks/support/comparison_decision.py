"""Read the last decision of `compare` for a target from its MLflow run, and refuse it if it is stale."""

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
    """The recipe that a comparison chose, its name, and the MLflow run of the decision."""

    name: str
    recipe: Recipe
    run: str


def last_decision(target: str) -> dict[str, Any]:
    """The newest decision for a target. Raises InputError if there is none."""
    return patiently(lambda: _last(target), "looking up the decision")


def _last(target: str) -> dict[str, Any]:
    import mlflow

    experiment = client().get_experiment_by_name(target)
    query = "tags.`transferline.kind` = 'compare' and attributes.status = 'FINISHED'"
    order = ["attributes.start_time DESC"]
    found = client().search_runs([experiment.experiment_id], query, order_by=order, max_results=1) if experiment else []
    if not found:
        what = "`recipe: auto` needs the decision of a comparison, and there is none"
        raise InputError(f"target {target!r}", what, f"Run `transferline compare {target}` first")
    with tempfile.TemporaryDirectory() as scratch:
        uri = f"runs:/{found[0].info.run_id}/{DECISION}"
        path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=scratch))
        return json.loads(path.read_text(encoding="utf-8"))


def settle(decision: Mapping[str, Any], data: Data, base: str, declared: Mapping[str, Recipe]) -> RecordedDecision:
    """The recipe of a decision. Raises InputError if it ships nothing, or if data, base or recipe have changed since.

    `base` is the key of the base that params.yaml declares now under the name in the decision.
    """
    target, again = (
        decision["target"],
        f"Run `transferline compare {decision['target']} {decision['comparison']}` again",
    )
    where = f"target {target!r}, decision of {decision['created']}"
    if decision["ship"] is None:
        raise InputError(where, f"it ships nothing: {decision['headline']}", f"{again}, or name a recipe")
    now = {role: pin.md5 for role, pin in data.items()}
    # roles with a slash are source examples; those of recipes that lost do not make the decision stale
    required = {role for role in decision["data"] if "/" not in role}
    changed = sorted(role for role in {*now, *required} if now.get(role) != decision["data"].get(role))
    if changed:
        raise InputError(where, f"it is stale: it was made on other data ({', '.join(changed)})", again)
    if base != decision["base"]["key"]:
        raise InputError(where, f"it is stale: base {decision['base']['name']!r} is another one now", again)
    recipe = Recipe.model_validate(decision["recipe"])
    known = declared.get(decision["ship"])
    if known is not None and known != recipe:
        raise InputError(where, f"it is stale: recipe {decision['ship']!r} has been changed since", again)
    return RecordedDecision(decision["ship"], recipe, decision["run"])
