"""Shard the layers of a model over processes (ZeRO stage 3), and compile them.

Each process keeps a share of every layer's weights, gradients and moments. A layer is gathered for its own forward and
backward pass (Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020,
section 5.3; torch's `fully_shard`). Embeddings and heads are not sharded. Results and saved
states equal those of training without shards, up to rounding. So a run can be resumed with or without shards.
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

_EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_


class HeldModel:
    """The parameters that a learner trains, in groups for the optimiser and in the order in which states are saved."""

    def __init__(self, learner: Learner, rate: float, accelerator: Any, runtime: Runtime) -> None:
        self.model, self.accelerator = learner.model, accelerator
        self.first: bool = accelerator.is_main_process
        groups = learner.groups(rate)
        self._unshard: list[Callable[[], None]] = []  # one function per sharded layer
        self._compiled = runtime.compiled
        if self._compiled:
            compile_layers(self.model)
        if runtime.sharded and accelerator.num_processes > 1 and learner.shards:
            groups = self._shard(groups)
        self._every = list(self.model.parameters())
        self.order = [parameter for group in groups for parameter in group["params"]]
        self.groups = [part for group in groups for part in _split_group(group)]

    @property
    def writes(self) -> bool:
        """Whether this process takes part in saving. The first one writes; with shards the others send it theirs."""
        return bool(self._unshard) or self.first

    def agree(self, wish: bool) -> bool:
        """Whether this process saves now, if it has the `wish`. The first process decides; with shards it decides for all."""
        return bool(agreed(self.accelerator, wish)) if self._unshard else self.first and wish

    def clip(self, most: float) -> Any:
        """Scale gradients to a norm of at most `most`. Returns the norm before scaling."""
        if not self._unshard:
            return self.accelerator.clip_grad_norm_(self._every, most)
        import torch

        # torch's foreach norm refuses sharded and plain gradients together, so the norm is computed here
        parameters = [parameter for parameter in self.order if parameter.grad is not None]
        squares = [torch.zeros((), device=self.accelerator.device)] * 2  # sums of squares: sharded, not sharded
        for parameter in parameters:
            part = int(not is_sharded(parameter))
            squares[part] = squares[part] + _local(parameter.grad).float().square().sum()
        # every process has all of the second sum, and only its own shards' part of the first
        norm = (self.accelerator.reduce(squares[0], "sum") + squares[1]).sqrt()
        factor = (most / (norm + _EPSILON)).clamp(max=1.0)
        for parameter in parameters:
            _local(parameter.grad).mul_(factor)
        return norm

    @contextmanager
    def ranking(self) -> Iterator[None]:
        """Context of validation: eager, in the precision of training.

        That precision is enough to rank epochs. Reported metrics of the chosen epoch are computed in full precision.
        """
        with self.written(), self.accelerator.autocast():
            yield

    def written(self) -> AbstractContextManager[None]:
        """Context in which compiled layers run eagerly."""
        return as_written() if self._compiled else nullcontext()

    def release(self) -> None:
        """Undo sharding and compiling, on every process."""
        if self._compiled:
            uncompile(self.model)
        for unshard in self._unshard:
            unshard()
        self._unshard = []

    def _shard(self, groups: list[dict]) -> list[dict]:
        """Shard the layers. Returns the groups with the sharded parameters."""
        from torch.distributed.device_mesh import init_device_mesh

        # `fully_shard` replaces the parameters, so they are found again by name
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        wanted = [[names[id(parameter)] for parameter in group["params"]] for group in groups]
        mesh = init_device_mesh(self.accelerator.device.type, (self.accelerator.num_processes,))
        self._unshard = [_shard_layer(layer, mesh) for layer in layers_of(self.model)]
        sharded = dict(self.model.named_parameters())
        return [
            {**group, "params": [sharded[name] for name in named]} for group, named in zip(groups, wanted, strict=True)
        ]


def whole(tensor: Any) -> Any:
    """The full tensor, detached. With shards every process must call this."""
    return tensor.detach().full_tensor() if is_sharded(tensor) else tensor.detach()


def like(parameter: Any, tensor: Any) -> Any:
    """Shard a full tensor like a parameter of the same shape. Other tensors are returned unchanged."""
    if not is_sharded(parameter) or tensor.shape != parameter.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    tensor = tensor.to(parameter.device)
    # src_data_rank=None: every process has read the full tensor, so nothing is sent
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None)


def _shard_layer(layer: Any, mesh: Any) -> Callable[[], None]:
    """Shard a layer. Returns a function that undoes it.

    torch cannot undo `fully_shard`, so the function restores the class, the hooks and the parameters of each module.
    """
    import torch
    from torch.distributed.fsdp import fully_shard

    before = [
        (module, type(module), {name: hooks.copy() for name, hooks in vars(module).items() if name.endswith("_hooks")})
        for module in layer.modules()
    ]
    # Each layer is a root of its own, so that base_model and heads that are applied elsewhere still work. By default a root is
    # not resharded after its forward pass.
    fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    # Gradients are summed, not averaged: each process's loss is weighted by its share of the batch already (gradients.py).
    # gloo has no operation for the factor alone, hence both calls.
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


def _local(tensor: Any) -> Any:
    """The part of a tensor on this process."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def _split_group(group: dict) -> Iterable[dict]:
    """Split a parameter group by two rules: fused AdamW refuses sharded and plain parameters together, and vectors do not decay.

    Biases and the weights of normalisation layers are vectors. Weight decay pulls them to values without meaning, so practice
    leaves them out (Devlin et al.'s code for BERT, 2018; transformers' Trainer).
    """
    for sharded in (False, True):
        for vectors in (False, True):
            part = [p for p in group["params"] if is_sharded(p) == sharded and (p.dim() < 2) == vectors]
            if part:
                yield {**group, "params": part, **({"weight_decay": 0.0} if vectors else {})}
