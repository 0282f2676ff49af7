"""Setup of a comparison, and building of its models: each step once, in parallel over the available devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prefect.task_runners import TaskRunner

from transferline.core.project import store
from transferline.core.runtime import Runtime
from transferline.data.prepared_files import read_jsonl
from transferline.evaluation.prediction_tables import read_predictions
from transferline.evaluation.predictions import Predictions
from transferline.flows.support.chain_building import STAGES, places_of
from transferline.flows.support.planning import family_known, resolved_base, settings_of
from transferline.methods.label_budget import count_labels
from transferline.recipes.chain import Data, Step, predict_step
from transferline.recipes.params import Params
from transferline.recipes.recipe import Recipe
from transferline.tasks.evaluating import predict_test
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.caching import Built, build_all
from transferline.tasks.support.provenance import commit
from transferline.tasks.support.tracking import TransferRun
from transferline.tournament.plan import Leaf, Tournament, check
from transferline.tournament.setup import Ground


def open_ground(params: Params, target: str, data: Data, recipes: Sequence[Recipe], budgets: Any, seeds: int) -> Ground:
    """Set up a comparison.

    `budgets` is a function of the number of training rows and of the smallest number of rows that show every label. It
    returns the label budgets as counts.
    """
    names = {recipe.base for recipe in recipes}
    # distillation trains a second base, its student
    names |= {start for recipe in recipes if (start := recipe.tune.starts_from()) in params.bases and start}
    bases = {name: resolved_base(params, name) for name in sorted(names)}
    families = {name: family_known(base) for name, base in bases.items()}
    records = read_jsonl(data["train"].path)
    rows, fewest = len(records), count_labels(records)
    source_tasks = dict.fromkeys(name for recipe in recipes for name in recipe.source_task_names())
    settings = settings_of(params, target, data, source_tasks)
    return Ground(
        target, params.target(target), data, bases, families, store(), budgets(rows, fewest), seeds, settings, rows
    )


@dataclass
class Builder:
    """Build the steps of a comparison under one MLflow run. `built` collects the results by key."""

    ground: Ground
    runtime: Runtime
    run: TransferRun
    runner: TaskRunner[Any]
    built: dict[str, Built] = field(default_factory=dict)

    def bases(self, tournament: Tournament) -> None:
        """Collect the bases: the following steps need their size and family."""
        self.build([step for step in tournament.steps.values() if step.kind == "base"])
        self._check_families(tournament, tournament.leaves)

    def leaves(self, tournament: Tournament, leaves: Sequence[Leaf]) -> None:
        """Build some models with all steps that they need."""
        needed = tournament.needed(leaves)
        # bases and label subsets first: recipes are checked against the bases, and other steps read the subsets
        first = [step for step in needed if not step.parents]
        self.build(first)
        self._check_families(tournament, leaves)
        self.build(needed)

    def predictions(self, leaves: Sequence[Leaf], split: str) -> dict[str, Predictions]:
        """Predict a split with some models. Returns key of the model -> predictions."""
        pin = self.ground.data[split]
        seeds = {leaf.key: leaf for leaf in leaves}
        steps = {
            key: predict_step(key, pin.md5, f"{split} {leaf.entry} {leaf.budget}", leaf.seed)
            for key, leaf in seeds.items()
        }
        wanted = [(predict_test, self._request(step, {"test": pin.path})) for step in steps.values()]
        self.built = build_all(wanted, self.runner, self.built)
        return {key: read_predictions(store() / step.key) for key, step in steps.items()}

    def build(self, steps: Sequence[Step]) -> None:
        """Build some steps, parents first, or reuse their checkpoints."""
        wanted = [(STAGES[step.kind], self._request(step, places_of(step, self.ground.data))) for step in steps]
        self.built = build_all(wanted, self.runner, self.built)

    def _request(self, step: Step, data: dict[str, Any]) -> Request:
        return Request(step, data, self.runtime, self.run.run_id, self.run.experiment_id, {"commit": commit()})

    def _check_families(self, tournament: Tournament, leaves: Sequence[Leaf]) -> None:
        """Check the recipes against the families of the collected bases. Raises InputError if one does not fit."""
        known = {name: family_known(base) for name, base in self.ground.bases.items()}
        ground = replace(self.ground, families=known)
        for name in dict.fromkeys(leaf.entry for leaf in leaves):
            check(tournament.entries[name], ground)
