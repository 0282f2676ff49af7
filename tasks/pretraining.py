"""Base models and self-supervised adaptation, as cached tasks."""

from __future__ import annotations

from tasks.caching import Request, build_checkpoint, stage_task
from transfer.checkpoint import Checkpoint


@stage_task
def collect_base(request: Request) -> Checkpoint:
    """Bring a pretrained model into the store."""
    return build_checkpoint(request, request.step.stage.build)


@stage_task
def adapt(request: Request) -> Checkpoint:
    """Adapt a model to a domain on its raw text."""
    return build_checkpoint(request, request.step.stage.build)
