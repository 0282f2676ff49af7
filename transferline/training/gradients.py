"""Compute the gradients of a batch in micro-batches and, with several processes, data-parallel.

Data-parallel training does not change the batch size: each process takes every n-th example of the batch, and gradients are summed
over processes (Li et al., "PyTorch Distributed", 2020, section 3.1). The step is the same for any number of processes, up to
rounding and dropout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from transferline.core.runtime import Runtime

if TYPE_CHECKING:
    import torch


BUCKET = 25 * 2**20 // 4  # fp32 numbers per exchange: 25 MiB (Li et al. 2020, section 3.2.3)


class Differentiable(Protocol):
    """A model with batches and a loss, as `accumulate` needs it (see `Learner`)."""

    model: Any
    whole: bool  # whether the loss needs all examples of a batch together, so that no part of it has a meaning

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]: ...
    def terms(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]: ...
    def units(self, indices: Sequence[int], epoch: int) -> dict[str, float]: ...


def open_accelerator(runtime: Runtime) -> Any:
    """Create an Accelerator with the precision and device of a runtime, for one training run."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import InitProcessGroupKwargs

    AcceleratorState._reset_state(reset_partial_state=True)  # the state is global, and one process trains many models
    precision = "bf16" if runtime.precision == "bf16" else "no"
    # if one process dies while it starts, the others fail after ten minutes instead of waiting
    process_group = InitProcessGroupKwargs(timeout=timedelta(minutes=10))
    return Accelerator(cpu=runtime.device == "cpu", mixed_precision=precision, kwargs_handlers=[process_group])


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
    """Add the gradients of `scale` times the batch's mean loss to the parameters, and return the mean loss without `scale`.

    The returned scalar stays on the device, because reading it waits for the whole step. `micro` is the number of examples per
    micro-batch; None takes the batch at once, and so does a learner that is `whole` (contrastive losses, for example). Set
    `whole` if every process computes the same loss with the same dropout.
    """
    micro = None if learner.whole else micro
    shared = accelerator.num_processes > 1 and not whole
    own = indices[accelerator.process_index :: accelerator.num_processes] if shared else indices
    if shared:
        _seed_dropout(accelerator.process_index)
    total = _zero(accelerator, exact=True)
    # the largest share of a process: all processes make equally many micro-batches
    largest = -(-len(indices) // accelerator.num_processes) if shared else len(indices)
    size = micro or largest
    divided = shared or size < len(indices)
    # A mean over tokens is not the mean of the parts' means: each part counts by its share of the units (see `Learner.units`).
    units = learner.units(indices, epoch) if divided else {}
    for start in range(0, largest, size):
        part = own[start : start + size]
        if part:
            shares = {n: v / max(1.0, units[n]) for n, v in learner.units(part, epoch).items()} if divided else {}
        else:
            # Other processes have one more example. Sharded layers are gathered by all processes together, so this one
            # computes an example with the weight zero.
            part, shares = indices[:1], dict.fromkeys(units, 0.0)
        batch = on_device(learner.collate(part, epoch), accelerator.device)
        with accelerator.autocast():
            terms = learner.terms(batch)
            loss = sum((value * shares.get(name, 1.0) for name, value in terms.items()), start=_zero(accelerator))
        accelerator.backward(loss if scale is None else loss * scale)
        total += loss.detach()
    if shared:
        _sum_gradients(accelerator, learner.model.parameters())
        total = accelerator.reduce(total, "sum")
    return total


def _seed_dropout(process: int) -> None:
    """Give each process its own dropout. The first process keeps the dropout of a run with one process."""
    import torch

    if process:
        # the step's seed plus a multiple of a prime, so that processes of different steps do not share a seed
        torch.manual_seed((torch.initial_seed() + process * 1_000_003) % 2**63)


def _sum_gradients(accelerator: Any, parameters: Iterable[Any]) -> None:
    """Sum gradients over processes. A parameter without a gradient on any process keeps none."""
    import torch

    # gradients of shards are summed already, in the backward pass
    trained = [p for p in parameters if p.requires_grad and not is_sharded(p)]
    # A gradient of zeros is not the same as no gradient: weight decay would move the parameter.
    has_gradient = torch.tensor([float(p.grad is not None) for p in trained], device=accelerator.device)
    counts = accelerator.reduce(has_gradient, "sum").tolist()
    for bucket in _buckets([parameter for parameter, count in zip(trained, counts, strict=True) if count]):
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        summed = accelerator.reduce(torch.cat([gradient.reshape(-1) for gradient in gradients]), "sum")
        for parameter, part in zip(bucket, summed.split([p.numel() for p in bucket]), strict=True):
            parameter.grad = part.view_as(parameter)


def is_sharded(tensor: Any) -> bool:
    """Whether a tensor is sharded over several processes (a DTensor)."""
    return hasattr(tensor, "full_tensor")


def _buckets(parameters: Sequence[Any]) -> Iterator[list[Any]]:
    """Group parameters of one dtype into buckets of at most `BUCKET` numbers, so that many small ones share an exchange."""
    bucket: list[Any] = []
    for parameter in parameters:
        full = sum(p.numel() for p in bucket) + parameter.numel() > BUCKET
        if bucket and (full or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket


def on_device(batch: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """A batch on a device. A GPU copies it while it computes: a copy from memory that may be paged waits for the last step."""
    if device.type != "cuda":
        return {name: tensor.to(device) for name, tensor in batch.items()}
    pinned = {name: tensor if tensor.is_cuda else tensor.pin_memory() for name, tensor in batch.items()}
    return {name: tensor.to(device, non_blocking=True) for name, tensor in pinned.items()}


def _zero(accelerator: Any, exact: bool = False) -> Any:
    """A zero on the device, made there: copying one to a GPU would wait for the last step."""
    import torch

    return torch.zeros((), dtype=torch.float64 if exact else torch.float32, device=accelerator.device)


def agreed(accelerator: Any, value: Any) -> Any:
    """Broadcast the first process's value, so that rounding cannot make processes decide differently."""
    if accelerator.num_processes == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def common(accelerator: Any, folder: Path) -> Path:
    """Broadcast the first process's folder."""
    return Path(agreed(accelerator, str(folder)))
