"""Gradients of one batch, in micro-batches that fit the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from transfer.runtime import Runtime

if TYPE_CHECKING:
    from transfer.training import Learner


def open_accelerator(runtime: Runtime) -> Any:
    """Precision and device of a runtime, for one training run."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # one process trains many models, each its own way
    precision = "bf16" if runtime.precision == "bf16" else "no"
    return Accelerator(cpu=runtime.device == "cpu", mixed_precision=precision)


def accumulate(
    accelerator: Any, learner: Learner, indices: Sequence[int], epoch: int, micro: int | None, scale: Any = None
) -> float:
    """Add the gradients of `scale` times a batch's mean loss to the parameters'; returns the mean loss, unscaled."""
    total = 0.0
    size = micro or len(indices)
    for start in range(0, len(indices), size):
        part = indices[start : start + size]
        share = len(part) / len(indices)
        batch = {k: v.to(accelerator.device) for k, v in learner.collate(part, epoch).items()}
        with accelerator.autocast():
            loss = learner.loss(batch) * share
        accelerator.backward(loss if scale is None else loss * scale)
        total += float(loss.detach())
    return total
