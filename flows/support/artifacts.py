"""Outputs of a retrain: Prefect artifacts, MLflow figures, and the table at the end on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from rich.table import Table
from rich.text import Text

from transferline.core.settings import settings
from transferline.core.uris import without_credentials
from transferline.evaluation.markdown import render
from transferline.evaluation.markdown import table as markdown_table
from transferline.evaluation.report import Group, Report
from transferline.evaluation.run_figures import FIGURES, intervals
from transferline.evaluation.verdict import Verdict
from transferline.flows.support.planning import reusable
from transferline.recipes.chain import Chain, Data
from transferline.recipes.chain_table import chain_table
from transferline.tasks.registering import Registration
from transferline.tasks.support.caching import Built
from transferline.tasks.support.events import tell
from transferline.tasks.support.progress import console, log
from transferline.tasks.support.provenance import installed
from transferline.tasks.support.scope import artifact_key, scoped
from transferline.tasks.support.tracking import TransferRun, tracking_uri


def show_chain(chain: Chain) -> None:
    """Show the planned chain as a Prefect artifact and on the terminal."""
    reused = reusable(chain)
    create_markdown_artifact(
        chain_table(chain, reused), key=artifact_key("chain", chain.target), description=f"{chain.target}: the plan"
    )
    console.print(
        f"{chain.target}  recipe {chain.recipe}, setting {settings_told(chain)}: "
        f"{len(chain.steps)} steps, {sum(reused.values())} of them reused"
    )


def settings_told(chain: Chain) -> str:
    """The transfer setting of the base, and of each source task, as text."""
    return ", ".join([str(chain.setting), *(f"from {name} {setting}" for name, setting in chain.settings.items())])


def publish_report(
    run: TransferRun,
    chain: Chain,
    groups: Mapping[str, Group],
    *,
    report: Report,
    verdict: Verdict,
    registration: Registration,
    profiles: Mapping[str, Any],
    built: Mapping[str, Built],
    data: Data,
) -> None:
    """Log the report, its figures and the inputs to MLflow and Prefect."""
    text = render(chain, report, verdict, profiles) + _stages(run, chain, built)
    log(verdict.headline)
    run.log(report.flat())
    run.text(text, "report.md")
    run.text(installed(), "environment.txt")
    run.tag(
        {
            "transferline.verdict": verdict.decision,
            "transferline.headline": verdict.headline,
            "mlflow.note.content": text,
            "transferline.versions": str(dict(registration.versions)),
        }
    )
    for role, pin in data.items():
        run.dataset(f"{chain.target}-{role}", pin.md5, pin.path, role)
    _figures(run, chain, groups, report)
    create_markdown_artifact(
        text, key=artifact_key("report", chain.target), description=f"{chain.target}: {verdict.headline}"
    )


def announce(
    run: TransferRun,
    chain: Chain,
    report: Report,
    verdict: Verdict,
    registration: Registration,
    champion: str | None,
) -> dict[str, str]:
    """Print the table of models and emit the verdict event. Returns the outcome as text. `champion` is a version."""
    console.print(_models(chain, report))
    console.print(Text(f"verdict: {verdict.headline}", style="bold"))
    for reason in (*verdict.reasons, *report.notes):
        console.print(f"  - {reason}")
    versions = ", ".join(f"{role} is version {version}" for role, version in registration.versions.items())
    now = f"champion is version {champion}" if champion else "no champion yet"
    console.print(f"registered model {registration.model}: {versions}; {now}")
    console.print(f"MLflow run {run.run_id} in experiment {scoped(chain.target)}")
    for hint in _where_to_look(run):
        console.print(hint)
    tell("verdict", chain.target, verdict.headline, decision=verdict.decision, run=run.run_id)
    return {
        "decision": verdict.decision,
        "headline": verdict.headline,
        "challenger": verdict.challenger,
        "model": registration.model,
        "champion": champion or "",
        "run": run.run_id,
    }


def _stages(run: TransferRun, chain: Chain, built: Mapping[str, Built]) -> str:
    """Table of the stages: built or reused, with a link to the MLflow run that built each."""
    rows = []
    for step in chain:
        one = built[step.key]
        link = f"[{one.checkpoint.run_id[:8]}](#/experiments/{run.experiment_id}/runs/{one.checkpoint.run_id})"
        rows.append([step.title, f"`{step.key}`", "reused from" if one.reused else "built in", link])
    return "\n## Stages\n\n" + markdown_table(["stage", "key", "", "MLflow run"], rows) + "\n"


def _figures(run: TransferRun, chain: Chain, groups: Mapping[str, Group], report: Report) -> None:
    # the two models whose difference is the effect of the transfer
    for role in ("challenger", "unadapted"):
        shipped = groups[role].predictions[groups[role].shipped]
        for name, draw in FIGURES.get(shipped.kind, {}).items():
            run.figure(draw(shipped, f"{chain.target}: {role}"), f"figures/{name}-{role}.png")
    scores = {role: line.scores[report.metric] for role, line in report.lines.items()}
    rows = {role: (i.value, i.low, i.high) for role, i in scores.items()}
    run.figure(intervals(rows, report.metric, chain.target), "figures/scores.png")


def _models(chain: Chain, report: Report) -> Table:
    table = Table(title=f"{chain.target}: {report.rows} test rows, 95 % intervals", title_justify="left")
    for column in ("model", "seeds", report.metric, f"shipped {report.metric}", "calibration", "ms a text", "MB"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for role, line in report.lines.items():
        scores = (str(line.scores[report.metric]), str(line.shipped[report.metric]))
        numbers = (_or_dash(line.calibration), f"{line.latency_ms:.1f}", f"{line.megabytes:.0f}")
        table.add_row(role, str(line.seeds), *scores, *numbers)
    return table


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _where_to_look(run: TransferRun) -> list[str]:
    """How to open the run in both UIs: addresses of running servers, or commands that start them on the embedded databases."""
    page = f"#/experiments/{run.experiment_id}/runs/{run.run_id}"
    # a path relative to the current folder where possible, so that the printed command can be copied
    bin_folder = Path(sys.executable).parent
    here = bin_folder.relative_to(Path.cwd()) if bin_folder.is_relative_to(Path.cwd()) else bin_folder
    uri = without_credentials(tracking_uri())
    if uri.startswith("http"):
        look = [f"look:  {uri.rstrip('/')}/{page}"]
    else:
        database = uri.replace(f"sqlite:///{Path.cwd()}/", "sqlite:///")
        look = [f"look:  {here}/mlflow ui --backend-store-uri {database}    then http://127.0.0.1:5000/{page}"]
    api = settings().prefect_api_url
    prefect = (
        without_credentials(api.removesuffix("/api"))
        if api
        else f"{here}/prefect server start    then http://127.0.0.1:4200/runs"
    )
    return [*look, f"       {prefect}"]
