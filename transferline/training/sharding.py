"""How the model of a training run is held: whole by every process, or its layers in shards; as written, or compiled.

With shards each process keeps a share of every layer's weights, gradients and moments, and a layer is gathered for its own forward
and backward pass (Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020, section 5.3;
by torch's `fully_shard`). What belongs to no layer, embeddings and heads, stays whole. The numbers are those of training
without shards, up to rounding, and so are the states that are saved: either kind of run goes on from either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from transferline.core.runtime import Runtime
from transferline.models.compiling import as_written, compile_layers, uncompile
from transferline.models.heads import layers_of
from transferline.training.gradients import agreed, is_sharded

if TYPE_CHECKING:
    from transferline.training.learner import Learner

_ROUNDING = 1e-6  # as torch's own clipping has it


class HeldModel:
    """The parameters that a learner trains, in groups for the optimiser and in the order in which states are saved."""

    def __init__(self, learner: Learner, rate: float, accelerator: Any, runtime: Runtime) -> None:
        self.model, self.accelerator = learner.model, accelerator
        self.first: bool = accelerator.is_main_process
        groups = learner.groups(rate)
        self._whole: list[Callable[[], None]] = []
        self._compiled = runtime.compiled
        if self._compiled:
            compile_layers(self.model)
        if runtime.sharded and accelerator.num_processes > 1 and learner.shards:
            groups = self._shard(groups)
        self.order = [parameter for group in groups for parameter in group["params"]]
        self.groups = [part for group in groups for part in _apart(group)]

    @property
    def writes(self) -> bool:
        """Whether this process has a part in saving: the first writes, the others give it their shards."""
        return bool(self._whole) or self.first

    def agree(self, wish: bool) -> bool:
        """Whether this process saves now; with shards all do when the first wishes it."""
        return bool(agreed(self.accelerator, wish)) if self._whole else self.first and wish

    def clip(self, most: float) -> Any:
        """Scale gradients to a norm of at most `most`; returns the norm they had."""
        if not self._whole:
            return self.accelerator.clip_grad_norm_(self.model.parameters(), most)
        import torch

        moved = [parameter for parameter in self.order if parameter.grad is not None]
        squares = [torch.zeros((), device=self.accelerator.device)] * 2  # of what is shared out, of what all have
        for parameter in moved:
            part = int(not is_sharded(parameter))
            squares[part] = squares[part] + _mine(parameter.grad).float().square().sum()
        norm = (self.accelerator.reduce(squares[0], "sum") + squares[1]).sqrt()
        factor = (most / (norm + _ROUNDING)).clamp(max=1.0)
        for parameter in moved:
            _mine(parameter.grad).mul_(factor)
        return norm

    @contextmanager
    def ranking(self) -> Iterator[None]:
        """How epochs are measured: in the precision of training, for they only have to be ranked; what is reported of the kept
        one is measured in full."""
        with self.written(), self.accelerator.autocast():
            yield

    def written(self) -> AbstractContextManager[None]:
        """A context in which nothing runs compiled."""
        return as_written() if self._compiled else nullcontext()

    def release(self) -> None:
        """Make the model whole again, on every process, and as it was written."""
        if self._compiled:
            uncompile(self.model)
        for undo in self._whole:
            undo()
        self._whole = []

    def _shard(self, groups: list[dict]) -> list[dict]:
        """Put the layers into shards; returns the groups with what now stands for their parameters."""
        from torch.distributed.device_mesh import init_device_mesh

        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        wanted = [[names[id(parameter)] for parameter in group["params"]] for group in groups]
        mesh = init_device_mesh(self.accelerator.device.type, (self.accelerator.num_processes,))
        self._whole = [_shard_layer(layer, mesh) for layer in layers_of(self.model)]
        now = dict(self.model.named_parameters())
        return [{**group, "params": [now[name] for name in named]} for group, named in zip(groups, wanted, strict=True)]


def whole(tensor: Any) -> Any:
    """A tensor with all of its shards, detached; every process has to ask for it."""
    return tensor.detach().full_tensor() if is_sharded(tensor) else tensor.detach()


def like(parameter: Any, tensor: Any) -> Any:
    """A whole tensor, held as a parameter of its shape is held."""
    if not is_sharded(parameter) or tensor.shape != parameter.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    tensor = tensor.to(parameter.device)  # every process has read all of it: nothing has to be sent
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None)


def _shard_layer(layer: Any, mesh: Any) -> Callable[[], None]:
    """Put a layer into shards; returns what takes it out again.

    Taking out is not something that `fully_shard` offers: the class and the hooks of each module are put back as they were.
    """
    import torch
    from torch.distributed.fsdp import fully_shard

    before = [
        (module, type(module), {name: hooks.copy() for name, hooks in vars(module).items() if name.endswith("_hooks")})
        for module in layer.modules()
    ]
    fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    # gradients are summed, as without shards: shares of the loss are weighed
    layer.set_force_sum_reduction_for_comms(True)
    layer.set_gradient_divide_factor(1.0)

    def undo() -> None:
        for module, kind, hooks in before:
            for name, parameter in list(module._parameters.items()):
                if parameter is not None and is_sharded(parameter):
                    gathered = torch.nn.Parameter(whole(parameter).clone(), requires_grad=parameter.requires_grad)
                    module._parameters[name] = gathered
            module.__class__ = kind
            vars(module).update(hooks)

    return undo


def _mine(tensor: Any) -> Any:
    """The part of a tensor that this process holds."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def _apart(group: dict) -> Iterable[dict]:
    """A group in two, sharded and not: no operation of the optimiser takes both at once."""
    for sharded in (False, True):
        part = [parameter for parameter in group["params"] if is_sharded(parameter) == sharded]
        if part:
            yield {**group, "params": part}
