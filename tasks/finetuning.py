"""Tuning on the labelled target, and the controls, as cached tasks."""

from __future__ import annotations

from tasks.caching import Request, build_checkpoint, stage_task
from transfer.checkpoint import Checkpoint


@stage_task
def tune(request: Request) -> Checkpoint:
    """Teach a model the target."""
    return build_checkpoint(request, request.step.stage.build)


@stage_task
def control(request: Request) -> Checkpoint:
    """Build a control without transfer."""
    return build_checkpoint(request, request.step.stage.build)
