"""Build the steps of a chain in the order of its plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect.task_runners import TaskRunner

from transferline.core.project import store
from transferline.flows.support.planning import Line
from transferline.methods.label_budget import FILE
from transferline.recipes.chain import Chain, Data, Step
from transferline.tasks.finetuning import control, tune
from transferline.tasks.pretraining import adapt, collect_base, select
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.caching import Built, build_all
from transferline.tasks.support.provenance import commit
from transferline.tasks.support.tracking import TransferRun

STAGES = {"base": collect_base, "select": select, "adapt": adapt, "tune": tune, "control": control}


def request_of(line: Line, chain: Chain, run: TransferRun) -> Request:
    """Template of all build requests of a retrain. Each request replaces `step` and `data`."""
    return Request(chain.steps[0], {}, line.runtime, run.run_id, run.experiment_id, {"commit": commit()})


def build_chain(line: Line, chain: Chain, data: Data, run: TransferRun, runner: TaskRunner[Any]) -> dict[str, Built]:
    """Build every step of a chain, or reuse its checkpoint. Returns key -> result."""
    common = request_of(line, chain, run)
    wanted = [(STAGES[step.kind], replace(common, step=step, data=places_of(step, data))) for step in chain]
    # the base first: its config names the model family, and a recipe that the family does not support is refused now
    base = build_all(wanted[:1], runner)
    line.check_family(chain)
    return build_all(wanted, runner, base)


def places_of(step: Step, data: Data) -> dict[str, Path]:
    """Role -> input file of a step: a file pinned by DVC, or the examples that an earlier step has selected."""
    known = {pin.md5: pin.path for pin in data.values()}
    return {role: known.get(name) or store() / name / FILE for role, name in step.data}
