"""Transfer matrix: one comparison per target, with every recipe and every source task, plotted as one figure.

transferline matrix tone
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import Field
from rich.text import Text

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.flows.compare import compare
from transferline.flows.support.choices import ComparisonChoice
from transferline.flows.support.comparison.publish import folder_of
from transferline.flows.support.preflight import begin
from transferline.recipes.params import Params, project_params
from transferline.tasks.support.progress import console, log
from transferline.tasks.support.scope import artifact_key
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
    """Run one comparison on several targets, with every source task of each. Returns the figure and the MLflow run.

    Args:
        comparison: a comparison of params.yaml in which recipes name `other` as their source
        targets: names of targets (default: all that are both source and target in the `pairs` of params.yaml)
        seeds: seeds of the fine-tuning, at least 3 (default: those of the comparison)
        device: where to compute
        precision: precision of training
    """
    begin()
    params = project_params()
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
        raise InputError(f"comparison {comparison!r}", "none of its recipes uses a source task", mend)
    with ComparisonRun(f"matrix {comparison}", comparison, seeds or params.comparison(comparison).seeds) as run:
        return publish(run, comparison, cells, " or ".join(sorted(metrics)))


def learners(params: Params, targets: list[str] | None) -> list[str]:
    """Targets of the matrix: the given ones, else all that are both source and target of a pair.

    Raises InputError on a target without a source task, or if there are no targets.
    """
    for name in targets or ():
        params.target(name)
    source_tasks = {pair.source_task for pair in params.pairs.values()}
    learning = {pair.learner for pair in params.pairs.values()}
    found = list(targets or [name for name in params.targets if name in source_tasks & learning])
    for name in found:
        if name not in learning:
            raise InputError(f"target {name!r}", "it has no source task", "Declare a pair under `pairs` in params.yaml")
    if not found:
        what = "no target is both a source and a target of a pair"
        raise InputError("matrix", what, "Declare `pairs` in params.yaml, or name targets")
    return found


def publish(run: ComparisonRun, comparison: str, cells: list[Cell], metric: str) -> dict[str, str]:
    """Write the figure and the tables, log them to MLflow, and show them in Prefect and on the terminal."""
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
    summary = (
        f"{len(cells)} transfers: {counted['positive']} proven positive, {counted['negative']} proven negative, "
        f"{counted['tie']} ties"
    )
    create_markdown_artifact(text, key=artifact_key("matrix", comparison), description=summary)
    log(summary)
    console.print(text)
    console.print(Text(summary, style="bold"))
    console.print(f"figure: {_shown(folder / 'matrix.svg')}    MLflow run {run.run_id}")
    return {"picture": str(folder / "matrix.svg"), "run": run.run_id, **{name: str(n) for name, n in counted.items()}}


def _shown(path: Path) -> str:
    return str(path.relative_to(root())) if path.is_relative_to(root()) else str(path)
