"""Looks after runs where no `transferline serve` does: crashed ones are started again."""

from __future__ import annotations

from prefect import flow
from prefect.client.orchestration import get_client

from transferline.tasks.support.progress import log
from transferline.tasks.support.restarts import restart_crashed


@flow(name="tend", flow_run_name="tend", validate_parameters=True)
def tend() -> list[str]:
    """Start crashed runs again; returns their names."""
    with get_client(sync_client=True) as client:
        names = restart_crashed(client)
    log(f"started again: {', '.join(names) or 'none'}")
    return names
