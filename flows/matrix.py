"""The matrix of transfer between targets: one comparison a target, every recipe from every source, drawn as one picture.

transferline matrix tone
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import Field
from slugify import slugify

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.flows.compare import compare
from transferline.flows.support.choices import ComparisonChoice
from transferline.flows.support.comparison.publish import folder_of
from transferline.flows.support.preflight import begin
from transferline.recipes.params import Params, load_params
from transferline.tasks.support.progress import console, log
from transferline.tasks.support.tracking import ComparisonRun
from transferline.tournament.transfer_matrix import Cell, cells_of, draw, markdown

FOLDER = "matrix"


@flow(name="matrix", flow_run_name="matrix {comparison}", validate_parameters=True)
def matrix(
    comparison: ComparisonChoice,
    targets: list[str] | None = None,
    seeds: Annotated[int, Field(ge=3)] | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> dict[str, str]:
    """Ask one question of several targets, with every source that may teach them; returns the picture and the MLflow run.

    Args:
        comparison: a question of params.yaml whose recipes say `other` where they name a source
        targets: who learns; empty: every target that a pair lends to and that admits the recipes
        seeds: seeds of the tuning, at least 3; empty: as the comparison says
        device: where to compute
        precision: of training
    """
    begin()
    params = load_params(root() / "params.yaml")
    params.comparison(comparison)
    names = learners(params, targets)
    cells: list[Cell] = []
    metrics = {params.target(name).judged_by for name in names}
    for name in names:
        compare(name, comparison, seeds=seeds, device=device, precision=precision)
        with (folder_of(name, comparison) / "leaderboard.csv").open(encoding="utf-8") as file:
            cells += cells_of(name, csv.DictReader(file))
    if not cells:
        mend = "Let its recipes say `source_tasks: [other]`, and declare pairs"
        raise InputError(f"comparison {comparison!r}", "none of its recipes learns from a source", mend)
    with ComparisonRun(f"matrix {comparison}", comparison, seeds or params.comparison(comparison).seeds) as run:
        return publish(run, comparison, cells, " or ".join(sorted(metrics)))


def learners(params: Params, targets: list[str] | None) -> list[str]:
    """The targets to ask: those named, else those in a group of targets that lend to each other. Raises InputError on others."""
    for name in targets or ():
        params.target(name)
    source_tasks = {pair.source_task for pair in params.pairs.values()}
    learning = {pair.learner for pair in params.pairs.values()}
    found = list(targets or [name for name in params.targets if name in source_tasks & learning])
    for name in found:
        if name not in learning:
            raise InputError(f"target {name!r}", "no pair lends to it", "Declare one under `pairs` in params.yaml")
    if not found:
        raise InputError("matrix", "no targets lend to each other", "Declare `pairs` in params.yaml, or name targets")
    return found


def publish(run: ComparisonRun, comparison: str, cells: list[Cell], metric: str) -> dict[str, str]:
    """Write the picture and the tables, record and show them."""
    folder = folder_of(FOLDER, comparison)
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(cells, metric)
    (folder / "matrix.md").write_text(text, encoding="utf-8")
    figure = draw(cells, metric)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"matrix.{suffix}", dpi=150)
    with (folder / "matrix.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*vars(cells[0]), "finding"])
        writer.writerows([*vars(cell).values(), cell.finding] for cell in cells)
    for path in sorted(folder.iterdir()):
        run.file(path)
    run.tag({"mlflow.note.content": text, "transferline.comparison": comparison})
    counted = {name: sum(cell.finding == name for cell in cells) for name in ("positive", "negative", "tie")}
    run.log({f"transfers_{name}": float(count) for name, count in counted.items()})
    said = f"{len(cells)} transfers: {counted['positive']} proven to help, {counted['negative']} to hurt, {counted['tie']} ties"
    create_markdown_artifact(text, key=slugify(f"matrix-{comparison}"), description=said)
    log(said)
    console.print(text)
    console.print(f"[bold]{said}[/]\npicture: {_shown(folder / 'matrix.svg')}    MLflow run {run.run_id}")
    return {"picture": str(folder / "matrix.svg"), "run": run.run_id, **{name: str(n) for name, n in counted.items()}}


def _shown(path: Path) -> str:
    return str(path.relative_to(root())) if path.is_relative_to(root()) else str(path)
