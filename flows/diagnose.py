"""Estimate transferability before training: when to transfer, what, from where and how. Takes minutes, on frozen features.

transferline diagnose film-sentiment
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from transferline.core.checkpoint import read_lineage
from transferline.core.errors import InputError
from transferline.core.project import root, store
from transferline.core.runtime import Runtime
from transferline.data.prepared_files import write_json
from transferline.diagnosis.target_diagnosis import FILE, Diagnose
from transferline.flows.support.choices import TargetChoice
from transferline.flows.support.comparison.contest import Contest
from transferline.flows.support.comparison.leaves import Builder, open_ground
from transferline.flows.support.comparison.question import asked
from transferline.flows.support.planning import family_known
from transferline.flows.support.preflight import begin
from transferline.recipes.advice import Advice, rank
from transferline.recipes.chain import Data, Step
from transferline.recipes.comparison import Comparison
from transferline.recipes.params import Params, project_params
from transferline.recipes.recipe import Recipe
from transferline.tasks.placing import open_runner
from transferline.tasks.support.progress import console, log, notice
from transferline.tasks.support.scope import artifact_key
from transferline.tasks.support.tracking import ComparisonRun
from transferline.tasks.versioning import pin_data
from transferline.tournament.diagnosis_page import draw_affinities, draw_layers, headline, markdown
from transferline.tournament.plan import Ground, admitted, plan_tournament

FOLDER = "diagnoses"
SHOWN = 10  # recipes on the terminal; the written report has all of them


@dataclass(frozen=True)
class Seen:
    """Diagnosis of each base, and the FLOPs spent on it."""

    bases: Mapping[str, Mapping[str, Any]]
    flops: float


@flow(name="diagnose", flow_run_name="diagnose {target}", validate_parameters=True)
def diagnose(
    target: TargetChoice,
    bases: list[str] | None = None,
    labels: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> dict[str, str]:
    """Estimate before training whether transfer is likely to help, from which source, and which recipe to try first.

    Args:
        target: a name from params.yaml
        bases: base models to diagnose (default: the base of the target's default recipe)
        labels: limit the target to this many labelled examples, but not its source tasks
        device: where to compute
        precision: precision of training, which a diagnosis itself does not need
    """
    begin()
    params = project_params()
    spec = params.target(target)
    own = params.recipe(spec.recipe if spec.recipe in params.recipes else next(iter(params.recipes))).base
    names = list(bases or [own])
    for name in names:
        params.base(name)
    data = pin_data(target, params, params.source_tasks(target))
    source_tasks = params.source_tasks(
        target, alike=True
    )  # sources with another kind of input do not fit the same base
    runtime = Runtime.model_validate({"device": device, "precision": precision})
    ground, recipes = open_field(params, target, data, names, Comparison(labels=labels))
    with open_runner(runtime) as runner, ComparisonRun(f"diagnose {target}", "diagnose", spec.seeds) as run:
        builder = Builder(ground, runtime, run, runner)
        seen = look(ground, source_tasks, builder)
        advice = rank(recipes, seen.bases, foreseen(ground, recipes, builder))
        share = seen.flops / max(advice[0].flops, 1.0)
        text = markdown(target, seen.bases, advice, share)
        folder = write_files(target, seen, advice, text)
        for path in sorted(folder.iterdir()):
            run.file(path)
        run.tag({"mlflow.note.content": text, "transferline.kind": "diagnose"})
    summary = f"{target}: {headline(advice)}"
    create_markdown_artifact(text, key=artifact_key("diagnose", target), description=summary)
    log(summary)
    console.print(markdown(target, seen.bases, advice, share, SHOWN))
    console.print(f"written to {folder.relative_to(root()) if folder.is_relative_to(root()) else folder}")
    return {"recipe": advice[0].recipe, "headline": summary, "folder": str(folder), "run": run.run_id}


def open_field(
    params: Params, target: str, data: Data, bases: list[str], question: Comparison
) -> tuple[Ground, dict[str, Recipe]]:
    """The setup of a diagnosis, and the admissible recipes on the given bases. Raises InputError if there are none."""
    known = asked(params, target, question)
    known = {name: recipe for name, recipe in known.items() if recipe.base in bases}
    seeds = params.target(target).seeds
    ground = open_ground(params, target, data, list(known.values()), question.counts, seeds)
    recipes = admitted(ground, known)
    if not recipes:
        raise InputError(f"target {target!r}", f"no recipe on {', '.join(bases)} is admissible", "Name other bases")
    return ground, recipes


def look(ground: Ground, source_tasks: list[str], builder: Builder) -> Seen:
    """Diagnose every base that can encode, and reuse existing diagnoses. Raises InputError if no base gives features."""
    found, flops = {}, 0.0
    # with a label limit, the diagnosis sees the same subset of labels as a training would (seed 0)
    subset, data = ground.labels(ground.rows, 0), ground.with_labels(ground.rows, 0)
    builder.build([subset] if subset else [])
    for name, base in ground.bases.items():
        collected = Step("base", base, role="base")
        builder.build([collected])
        family = family_known(base)
        if family is None or not family.can("encode"):
            notice("skipped", "yellow", f"base {name}: it gives no features to diagnose")
            continue
        stage = Diagnose(source_tasks=tuple(source_tasks), corpus="corpus" in data)
        read = tuple((role, data[role].md5) for role in stage.roles())
        step = Step("select", stage, (collected.key,), read, None, f"diagnose {name}")
        builder.build([step])
        found[name] = json.loads((store() / step.key / FILE).read_text(encoding="utf-8"))
        flops += float(((read_lineage(store() / step.key) or {}).get("cost") or {}).get("flops", 0.0))
    if not found:
        raise InputError("diagnose", "none of the bases gives features", "Name an encoder under --bases")
    return Seen(found, flops)


def foreseen(ground: Ground, recipes: Mapping[str, Recipe], builder: Builder) -> dict[str, float]:
    """Upper bound of the FLOPs of each recipe with all its seeds. A base that is not collected yet counts as zero."""
    contest = Contest(builder, Comparison(), ground.spec.judged_by)
    costs = {}
    for name, recipe in recipes.items():
        plan = plan_tournament(ground, {name: recipe}, controls=False)
        # every=True: the cost of a recipe from scratch, also where some of its steps can be reused
        steps, each = contest.each(plan, plan.group(name), every=True)
        costs[name] = float(sum(cost for step, cost in zip(steps, each, strict=True) if step.kind != "predict"))
    return costs


def write_files(target: str, seen: Seen, advice: list[Advice], text: str) -> Path:
    """Write report, numbers and figures to data/diagnoses/TARGET. Returns the folder."""
    folder = root() / "data" / FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "diagnosis.md").write_text(text, encoding="utf-8")
    write_json(
        folder / "diagnosis.json", {"bases": seen.bases, "flops": seen.flops, "advice": [vars(a) for a in advice]}
    )
    if any("layers" in base for base in seen.bases.values()):
        draw_layers(seen.bases).savefig(folder / "layers.svg")
    # the affinity figure has a row per target: read the diagnoses of the other targets too
    rows: dict[str, dict[str, float]] = {}
    for path in sorted((root() / "data" / FOLDER).glob("*/diagnosis.json")):
        base = next(iter(json.loads(path.read_text(encoding="utf-8"))["bases"].values()))
        found = {name: entry["affinity"] for name, entry in base.get("sources", {}).items() if "affinity" in entry}
        rows |= {path.parent.name: found} if found else {}
    if target in rows:
        draw_affinities(rows).savefig(folder / "affinity.svg")
    return folder
