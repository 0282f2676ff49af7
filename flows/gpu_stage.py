"""One GPU stage as a separate flow run. `retrain` submits it to the GPU work pool under placement `workers`."""

from __future__ import annotations

from typing import Any

from prefect import flow

from transferline.tasks.placing import build_on_a_slot
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.checkpoint_building import build_checkpoint
from transferline.tasks.support.gpu_slots import devices
from transferline.tasks.support.shared_store import offer_built


@flow(name="stage", validate_parameters=False)
def stage(request: dict[str, Any]) -> dict[str, Any]:
    """Build one requested step on this worker's machine, with its own GPU if the machine has any.

    Args:
        request: a step, its data and its runtime, as tasks/support/build_request.py writes it
    """
    wanted = Request.from_json(request)
    checkpoint = build_on_a_slot(wanted) if devices() else build_checkpoint(wanted)
    offer_built(wanted.key)  # without the record: `retrain` writes it when it has seen the checkpoint
    return checkpoint.model_dump()
