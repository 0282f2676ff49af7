"""Gradients of one batch: in micro-batches that fit the device, and in shares where several processes train one model.

Data-parallel training keeps the batch: each process takes every n-th example, and gradients are summed over processes (Li et al.,
"PyTorch Distributed", 2020, section 3.1). What a batch means does not change with the number of processes, up to rounding and the
noise of dropout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from transferline.core.runtime import Runtime

if TYPE_CHECKING:
    import torch


BUCKET = 25 * 2**20 // 4  # numbers that are exchanged at once: 25 MiB of fp32 (Li et al. 2020, section 3.2.3)


class Differentiable(Protocol):
    """What gradients are taken of: a model, its examples as batches, and their loss (see learner.py)."""

    model: Any

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]: ...
    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor: ...
    def units(self, indices: Sequence[int], epoch: int) -> float: ...


def open_accelerator(runtime: Runtime) -> Any:
    """Precision, device and number of processes of a runtime, for one training run."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs

    AcceleratorState._reset_state(reset_partial_state=True)  # one process trains many models, each its own way
    precision = "bf16" if runtime.precision == "bf16" else "no"
    waits = InitProcessGroupKwargs(
        timeout=timedelta(minutes=10)
    )  # one that died while it started must not be waited for longer
    return Accelerator(cpu=runtime.device == "cpu", mixed_precision=precision, kwargs_handlers=[waits])


def accumulate(
    accelerator: Any,
    learner: Differentiable,
    indices: Sequence[int],
    epoch: int,
    micro: int | None,
    *,
    scale: Any = None,
    whole: bool = False,
) -> torch.Tensor:
    """Add the gradients of `scale` times a batch's mean loss to the parameters'; returns the mean loss, unscaled, a number that
    stays on the device: to read it is to wait until all of the step is computed.

    `whole`: the loss needs all examples of the batch at once, so every process computes it, with the same noise.
    """
    shared = accelerator.num_processes > 1 and not whole
    mine = indices[accelerator.process_index :: accelerator.num_processes] if shared else indices
    if shared:
        _other_noise(accelerator.process_index)
    total = _tensor(accelerator, 0.0)
    most = -(-len(indices) // accelerator.num_processes) if shared else len(indices)
    size = micro or most
    divided = shared or size < len(indices)
    units = max(1.0, learner.units(indices, epoch)) if divided else 1.0
    for start in range(0, most, size):
        part = mine[start : start + size]
        if part:
            share = learner.units(part, epoch) / units if divided else 1.0
        else:  # others have one more: layers in shards are gathered by all processes or by none
            part, share = indices[:1], 0.0
        batch = {k: v.to(accelerator.device) for k, v in learner.collate(part, epoch).items()}
        with accelerator.autocast():
            loss = learner.loss(batch) * share
        accelerator.backward(loss if scale is None else loss * scale)
        total += loss.detach()
    if shared:
        _sum(accelerator, learner.model.parameters())
        total = accelerator.reduce(total, "sum")
    return total


def _other_noise(process: int) -> None:
    """Dropout of its own for each process; the first keeps what a run of one process has."""
    import torch

    if process:
        torch.manual_seed((torch.initial_seed() + process * 1_000_003) % 2**63)


def _sum(accelerator: Any, parameters: Iterable[Any]) -> None:
    """Sum gradients over processes; a parameter that no process has one for keeps none."""
    import torch

    learning = [p for p in parameters if p.requires_grad and not is_sharded(p)]  # shards are summed already
    has = torch.tensor([float(p.grad is not None) for p in learning], device=accelerator.device)
    known = accelerator.reduce(has, "sum").tolist()
    for bucket in _buckets([parameter for parameter, some in zip(learning, known, strict=True) if some]):
        given = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        summed = accelerator.reduce(torch.cat([gradient.reshape(-1) for gradient in given]), "sum")
        for parameter, part in zip(bucket, summed.split([p.numel() for p in bucket]), strict=True):
            parameter.grad = part.view_as(parameter)


def is_sharded(tensor: Any) -> bool:
    """Whether a tensor lies in shards over several processes."""
    return hasattr(tensor, "full_tensor")


def _buckets(parameters: Sequence[Any]) -> Iterator[list[Any]]:
    """Parameters of one type together, as long as they are small: one exchange for many."""
    bucket: list[Any] = []
    for parameter in parameters:
        full = sum(p.numel() for p in bucket) + parameter.numel() > BUCKET
        if bucket and (full or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket


def _tensor(accelerator: Any, value: float) -> Any:
    import torch

    return torch.tensor(value, dtype=torch.float64, device=accelerator.device)


def agreed(accelerator: Any, value: Any) -> Any:
    """What the first process says, for all: decisions must not hang on anybody's rounding."""
    if accelerator.num_processes == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def common(accelerator: Any, folder: Path) -> Path:
    """The first process's folder, for all."""
    return Path(agreed(accelerator, str(folder)))
