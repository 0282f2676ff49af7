"""One GPU stage as a flow run of its own: what `retrain` hands to the GPU work pool under placement `workers`."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.building import build_checkpoint
from tasks.placing import build_on_a_slot
from tasks.requests import Request
from tasks.sharing import offer_built
from tasks.slots import devices


@flow(name="stage", validate_parameters=False)
def stage(request: dict[str, Any]) -> dict[str, Any]:
    """Build one requested step on this worker's machine, on a device of its own where it has any.

    Args:
        request: a step, its data and its runtime, as tasks/requests.py writes it
    """
    wanted = Request.from_json(request)
    checkpoint = build_on_a_slot(wanted) if devices() else build_checkpoint(wanted)
    offer_built(wanted.key)
    return checkpoint.model_dump()
