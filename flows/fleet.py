"""Retrain several targets. Shared stages are built once, a failing target does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Literal

from prefect import flow
from prefect.artifacts import create_table_artifact
from rich.table import Table

from transferline.flows.retrain import retrain
from transferline.flows.support.choices import OWN, RecipeChoice
from transferline.flows.support.preflight import begin
from transferline.recipes.params import project_params
from transferline.tasks.placing import placement
from transferline.tasks.support.gpu_slots import devices
from transferline.tasks.support.progress import console, notice
from transferline.tasks.versioning import pin_all

IN_FLIGHT = 8  # concurrent targets if workers or a cluster compute the stages


class SomeFailed(RuntimeError):
    """At least one target failed. The others are finished."""


@flow(name="retrain-all", flow_run_name="retrain all targets", validate_parameters=True)
def retrain_all(
    targets: list[str] | None = None,
    recipe: RecipeChoice = OWN,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> list[dict[str, str]]:
    """Retrain several targets. Returns one row per target. Raises SomeFailed at the end if one failed.

    Args:
        targets: names from params.yaml (default: all targets)
        recipe: the recipe for all targets. `own` is the default of each target
        device: where to compute
        precision: precision of training
    """
    begin()
    params = project_params()
    names = list(targets or params.targets)
    for name in names:
        params.target(name)
    pin_all(names, params)  # the data of all targets in one DVC run: concurrent runs would wait for each other

    def one(name: str) -> dict[str, str]:
        start = time.monotonic()
        try:
            outcome = retrain(name, recipe, None, device, precision)
        except Exception as error:  # noqa: BLE001 - shown in the table, and raised for all targets at the end
            outcome = {"decision": "failed", "reason": f"{type(error).__name__}: {error}"[:300]}
        return {"target": name, **outcome, "seconds": f"{time.monotonic() - start:.0f}"}

    rows = _each(one, names, _lanes(device))
    _show(rows)
    failed = [row["target"] for row in rows if row["decision"] == "failed"]
    if failed:
        raise SomeFailed(f"{len(failed)} of {len(rows)} targets failed: {', '.join(failed)}")
    return rows


def _lanes(device: str) -> int:
    """Number of concurrent targets: one per local device, or enough to keep a cluster busy."""
    # locally a target keeps one device busy, and on a CPU two would only slow each other down
    if placement() != "local":
        return IN_FLIGHT
    return 1 if device == "cpu" else max(1, len(devices()))


def _each(one: Callable[[str], dict[str, str]], names: list[str], lanes: int) -> list[dict[str, str]]:
    """Run all targets, `lanes` at a time, each in a copy of this flow's context so that Prefect shows it as a subflow."""
    if lanes == 1:
        return [one(name) for name in names]
    with ThreadPoolExecutor(lanes) as pool:
        return [future.result() for future in [pool.submit(copy_context().run, one, name) for name in names]]


def _show(rows: list[dict[str, str]]) -> None:
    columns = ("target", "decision", "champion", "headline", "seconds", "reason")
    plain: list[dict[str, Any]] = [{column: row.get(column, "") for column in columns} for row in rows]
    promoted = sum(row["decision"] == "promote" for row in rows)
    failed = sum(row["decision"] == "failed" for row in rows)
    text = f"{len(rows)} targets: {promoted} promoted, {failed} failed"
    create_table_artifact(plain, key="fleet", description=text)
    table = Table(title=text, title_justify="left")
    for column in columns[:3]:
        table.add_column(column)
    for row in plain:
        table.add_row(*(str(row[column]) for column in columns[:3]))
    console.print(table)
    for row in plain:
        if row["reason"]:
            notice("failed", "red", f"{row['target']}: {row['reason']}")
