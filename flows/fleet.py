"""Many targets in one go: shared stages are built once, a failing target stops no other, one page shows all verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Literal

from prefect import flow
from prefect.artifacts import create_table_artifact
from rich.table import Table

from transferline.core.project import root
from transferline.flows.retrain import retrain
from transferline.flows.support.choices import OWN, RecipeChoice
from transferline.flows.support.preflight import begin
from transferline.recipes.params import load_params
from transferline.tasks.placing import placement
from transferline.tasks.support.gpu_slots import devices
from transferline.tasks.support.progress import console
from transferline.tasks.versioning import pin_all

IN_FLIGHT = 8  # targets at once where workers or a cluster compute


class SomeFailed(RuntimeError):
    """At least one target of a fleet failed; the others are done."""


@flow(name="retrain-all", flow_run_name="retrain all targets", validate_parameters=True)
def retrain_all(
    targets: list[str] | None = None,
    recipe: RecipeChoice = OWN,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> list[dict[str, str]]:
    """Retrain several targets; returns a row a target. Raises SomeFailed at the end where one failed.

    Args:
        targets: names from params.yaml; empty: all of them
        recipe: for all of them; `own` is each target's own
        device: where to compute
        precision: of training
    """
    begin()
    params = load_params(root() / "params.yaml")
    names = list(targets or params.targets)
    for name in names:
        params.target(name)
    pin_all(names, params)

    def one(name: str) -> dict[str, str]:
        start = time.monotonic()
        try:
            outcome = retrain(name, recipe, None, device, precision)
        except Exception as error:  # noqa: BLE001 - told in the table, and raised for all at the end
            outcome = {"decision": "failed", "reason": f"{type(error).__name__}: {error}"[:300]}
        return {"target": name, **outcome, "seconds": f"{time.monotonic() - start:.0f}"}

    rows = _each(one, names, _lanes(device))
    _show(rows)
    failed = [row["target"] for row in rows if row["decision"] == "failed"]
    if failed:
        raise SomeFailed(f"{len(failed)} of {len(rows)} targets failed: {', '.join(failed)}")
    return rows


def _lanes(device: str) -> int:
    """How many targets are under way at once: as many as there are devices; on a cluster, enough to keep it busy."""
    if placement() != "local":
        return IN_FLIGHT
    return 1 if device == "cpu" else max(1, len(devices()))


def _each(one: Callable[[str], dict[str, str]], names: list[str], lanes: int) -> list[dict[str, str]]:
    """One after another, or in as many lanes as there are devices; each in this flow's own context."""
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
            console.print(f"  [red]failed [/] {row['target']}: {row['reason']}")
