"""Publish the result of a comparison: files for git and DVC, the MLflow run, Prefect artifacts, and the terminal."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from rich.table import Table
from rich.text import Text

from transferline.core.project import root
from transferline.core.uris import without_credentials
from transferline.data.prepared_files import write_json
from transferline.tasks.support.comparison_decision import DECISION
from transferline.tasks.support.events import tell
from transferline.tasks.support.progress import console, log
from transferline.tasks.support.provenance import commit
from transferline.tasks.support.scope import artifact_key
from transferline.tasks.support.tracking import ComparisonRun, tracking_uri
from transferline.tournament.decision import to_json
from transferline.tournament.leaderboard import Evidence
from transferline.tournament.page import render
from transferline.tournament.result import Result
from transferline.tournament.result_tables import (
    board_rows,
    curve_rows,
    flat,
    header_of,
    leaf_rows,
    markdown,
    metrics,
    rows_of,
)


def folder_of(target: str, comparison: str) -> Path:
    """Folder of a comparison's files in the project."""
    return root() / "data" / "comparisons" / target / comparison


def publish(run: ComparisonRun, evidence: Evidence, result: Result) -> dict[str, str]:
    """Write the files, log them to MLflow, show them in Prefect, and emit the event. Returns the outcome as text."""
    files = write_files(evidence, result, run.run_id)
    text = markdown(result)
    headline = result.decision.headline
    run.log(flat(metrics(result)))
    for role, pin in evidence.tournament.ground.data.items():
        run.dataset(f"{result.target}-{role}", pin.md5, pin.path, role)
    for path in files:
        run.file(path)
    run.tag(
        {
            "transferline.headline": headline,
            "transferline.ship": result.decision.ship or "",
            "transferline.comparison": result.question,
            "mlflow.note.content": text,
        }
    )
    report = next(path for path in files if path.name == "report.html")
    slug = artifact_key("compare", result.target, result.question)
    create_markdown_artifact(text, key=slug, description=f"{result.target}: {headline}")
    create_link_artifact(_address(run, report), link_text="the report", key=f"{slug}-report", description=headline)
    log(headline)
    _print(run, result, report)
    tell("decision", result.target, headline, ship=result.decision.ship or "", run=run.run_id)
    return {"ship": result.decision.ship or "", "headline": headline, "run": run.run_id, "report": str(report)}


def write_files(evidence: Evidence, result: Result, run_id: str) -> list[Path]:
    """Write report.html, the tables (parquet, markdown, csv, json), the decision, and a dvc.yaml for DVC's metrics and plots."""
    folder = folder_of(result.target, result.question)
    folder.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    (folder / "report.html").write_text(render(result, f"Made {when}, commit {commit()[:12]}."), encoding="utf-8")
    (folder / "leaderboard.md").write_text(markdown(result), encoding="utf-8")
    _parquet(folder / "leaderboard.parquet", board_rows(result))
    _parquet(folder / "models.parquet", leaf_rows(evidence))
    _csv(folder / "leaderboard.csv", board_rows(result))
    _csv(folder / "curves.csv", curve_rows(result))
    write_json(folder / "metrics.json", metrics(result))
    winner = evidence.tournament.entries[result.board.winner]
    write_json(folder / DECISION, to_json(result.decision, winner.recipe, _lineage(evidence, result, run_id, when)))
    (folder / "dvc.yaml").write_text(_for_dvc(result), encoding="utf-8")
    return sorted(path for path in folder.iterdir() if path.name != "dvc.yaml")  # dvc.yaml is no result


def _lineage(evidence: Evidence, result: Result, run_id: str, when: str) -> dict[str, Any]:
    """Inputs of a decision. It is stale as soon as its data, its base or its recipe changes."""
    ground = evidence.tournament.ground
    recipe = evidence.tournament.entries[result.board.winner].recipe
    assert recipe is not None
    base = next(step.key for step in evidence.tournament.steps.values() if step.stage == ground.bases[recipe.base])
    return {
        "target": result.target,
        "comparison": result.question,
        "data": {role: pin.md5 for role, pin in ground.data.items()},
        "base": {"name": recipe.base, "key": base},
        "models": {leaf.key: leaf.seed for leaf in evidence.leaves(result.board.winner)},
        "run": run_id,
        "created": when,
        "commit": commit(),
    }


def _for_dvc(result: Result) -> str:
    """The dvc.yaml through which `dvc metrics diff` and `dvc plots` find the comparison."""
    names = [name for name in result.curves if name != "majority"]  # a flat line that would only compress the others
    plots: list[dict[str, Any]] = [
        {"label curves": {"x": "labels", "y": {"curves.csv": names}, "title": f"{result.target}: {result.metric}"}},
        {"leaderboard.csv": {"template": "bar_horizontal", "x": "score", "y": "entry"}},
    ]
    return yaml.safe_dump({"metrics": ["metrics.json"], "plots": plots}, sort_keys=False, allow_unicode=True)


def _address(run: ComparisonRun, report: Path) -> str:
    # a link that opens in a browser: on the server if there is one, else the local file
    uri = without_credentials(tracking_uri()).rstrip("/")
    if uri.startswith("http"):
        return f"{uri}/#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/report.html"
    return report.as_uri()


def _parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pandas as pd

    pd.DataFrame(rows).to_parquet(path, index=False)


def _csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _print(run: ComparisonRun, result: Result, report: Path) -> None:
    shown = (0, 1, 2, 3, 6, 7)  # columns that fit a terminal; the report has all
    table = Table(title=f"{result.target}: {result.rows} test rows, 95 % intervals", title_justify="left")
    for place in shown:
        table.add_column(header_of(result)[place], justify="left" if place == 0 else "right")
    for row in rows_of(result):
        table.add_row(*(row[place] for place in shown))
    console.print(table)
    decision = result.decision
    console.print(Text(f"decision: {decision.headline}", style="bold"))
    for title in ("why", "sure", "cost", "next"):
        for sentence in getattr(decision, title):
            console.print(f"  {title + ':':6} {sentence}")
    for name, to in decision.negative.items():
        console.print(Text.assemble("  ", ("negative transfer", "red"), f" {name} is proven worse than {to}"))
    for note in result.notes:
        console.print(f"  note:  {note}")
    for ratio in decision.ratios:
        console.print(f"  labels: to {ratio.other}'s {ratio.score:.3f}: {ratio}")
    console.print(f"report: {os.path.relpath(report, Path.cwd())}    MLflow run {run.run_id}")
