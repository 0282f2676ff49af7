"""Planning a line and building its chain, step by step in the order of the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from prefect.task_runners import TaskRunner

from tasks.caching import Built, build_all, committed
from tasks.finetuning import control, tune
from tasks.pretraining import adapt, collect_base
from tasks.project import root, store
from tasks.requests import Request
from tasks.tracking import TransferRun, commit
from transfer.bases import FolderBase
from transfer.chain import Chain, Data, plan
from transfer.corpora.declared import TargetSpec
from transfer.errors import InputError
from transfer.params import Params, load_params
from transfer.runtime import Runtime

STAGES = {"base": collect_base, "adapt": adapt, "tune": tune, "control": control}
LEAST_SEEDS = 3  # fewer say nothing about the spread


@dataclass(frozen=True)
class Line:
    """What one retrain is about: the declarations it follows, and the runtime it runs on."""

    params: Params
    target: str
    recipe: str
    spec: TargetSpec
    seeds: int
    runtime: Runtime

    def plan(self, data: Data) -> Chain:
        """The chain for some data; refused where the setting does not admit the recipe."""
        declared = self.params.recipe(self.recipe)
        base = self.params.base(declared.base)
        if isinstance(base, FolderBase):
            base = base.resolved(root())
        return plan(self.target, self.spec, self.recipe, declared, base, data, self.seeds)

    def request(self, chain: Chain, run: TransferRun) -> Request:
        """What all requests of this retrain have in common (its step is replaced for each)."""
        return Request(chain.steps[0], {}, self.runtime, run.run_id, run.experiment_id, {"commit": commit()})


def open_line(target: str, recipe: str | None, seeds: int | None, device: str, precision: str) -> Line:
    """Read the declarations and refuse wrong names at once, before anything heavy is imported or run."""
    params = load_params(root() / "params.yaml")
    spec = params.target(target)
    chosen = recipe or spec.recipe
    params.recipe(chosen)
    if seeds is not None and seeds < LEAST_SEEDS:
        raise InputError("seeds", f"{seeds} are too few for a verdict", f"Ask for {LEAST_SEEDS} or more")
    runtime = Runtime.model_validate({"device": device, "precision": precision})
    return Line(params, target, chosen, spec, seeds or spec.seeds, runtime)


def build_chain(line: Line, chain: Chain, data: Data, run: TransferRun, runner: TaskRunner[Any]) -> dict[str, Built]:
    """Build every step of a chain, or take what is there; key -> what came of it."""
    common = line.request(chain, run)
    places = {step.key: {role: data[role].path for role, _ in step.data} for step in chain}
    wanted = [(STAGES[step.kind], replace(common, step=step, data=places[step.key])) for step in chain]
    return build_all(wanted, runner)


def reusable(chain: Chain) -> dict[str, bool]:
    """Which steps of a chain are there already; computes nothing."""
    return {step.key: (store() / step.key).exists() and committed(step.key) for step in chain}
