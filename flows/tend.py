"""Restart crashed runs, on servers without `transferline serve`."""

from __future__ import annotations

from prefect import flow
from prefect.client.orchestration import get_client

from transferline.tasks.support.progress import log
from transferline.tasks.support.restarts import restart_crashed
from transferline.tasks.support.scope import project_tag


@flow(name="tend", flow_run_name="tend", validate_parameters=True)
def tend() -> list[str]:
    """Restart crashed runs. Returns their names."""
    with get_client(sync_client=True) as client:
        names = restart_crashed(client, project_tag())
    log(f"restarted: {', '.join(names) or 'none'}")
    return names
