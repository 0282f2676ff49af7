"""Bottleneck adapters: freeze the weights and train a narrow layer beside each feed-forward block.

Houlsby et al., "Parameter-Efficient Transfer Learning for NLP" (2019), in the parallel form of He et al., "Towards a Unified
View of Parameter-Efficient Transfer Learning" (2022), table 1 and section 4.3: h + W_up f(W_down x). They found the parallel form
better. With the block's own activation as f it is the same block with a few more inner units, so the result merges exactly
into an ordinary model with a larger `intermediate_size`. peft has no bottleneck adapter, and the library that has one requires an
older major version of transformers.

The outgoing weights of the new units start at zero, so training starts at the parent's outputs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Backward, Prior, Size, StepTexts
from transferline.core.problem import Ability
from transferline.methods.parameter.tuning import FineTuning, head_of
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Schedule

SIZES = ("intermediate_size", "hidden_dim", "n_inner", "d_inner", "d_ff")  # names of the inner width in model configs
_START = 0.02  # standard deviation of new incoming weights, as in the families' own initialisation


class Adapter(FineTuning):
    """Train a bottleneck beside each feed-forward block, then merge it into the block."""

    source: ClassVar[str] = "Houlsby et al. 2019; He et al. 2022, section 4.3"

    ability: ClassVar[Ability | None] = "bottlenecks"
    prior: ClassVar[Prior] = Prior(below_full=0.008)  # Houlsby et al. 2019, table 1

    method: Literal["adapter"] = "adapter"
    width: Annotated[int, Field(ge=1)] = 32
    """inner units of each adapter"""
    schedule: Schedule = Schedule(batch_size=16, learning_rate=5e-4)

    def network(self, size: Size, tokens: StepTexts) -> Size:
        size = super().network(size, tokens)
        return replace(size, weights=size.weights + 3 * size.layers * size.width * self.width)  # 3: gated blocks

    def backward(self, size: Size, epoch: int) -> Backward:
        # a block and its adapter are one matrix during training, so the gradients of both are computed
        return Backward(weights=1 - 4 * size.layers * size.width**2 / size.weights)

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        from torch.nn.utils.parametrize import register_parametrization

        head = head_of(model, target)
        blocks = feed_forward_layers(model)
        # blocks of a frozen pooling layer
        frozen = {id(module) for module, _ in blocks if not module.weight.requires_grad}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in head)
        for module, incoming in blocks:
            if id(module) in frozen:
                _pad(module, self.width, incoming)
                continue
            for name in ("weight", "bias") if incoming and module.bias is not None else ("weight",):
                part = _new_units(module, getattr(module, name), self.width, incoming)
                register_parametrization(module, name, part, unsafe=True)  # `unsafe` permits the change of shape
        for module, incoming in blocks:
            _say_width(module, self.width, incoming)
        setattr(model.config, _size_name(model.config), _inner_width(model.config) + self.width)
        return model

    def finish(self, model: Any) -> Any:
        from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

        for module in model.modules():
            if is_parametrized(module):
                for name in list(module.parametrizations):
                    remove_parametrizations(module, name, leave_parametrized=True)
        return model


def _new_units(module: Any, whole: Any, width: int, incoming: bool) -> Any:
    """The parametrization that adds inner units: rows of a Linear's incoming weight, columns of its outgoing weight."""
    import torch

    from transferline.models.networks.parametrize import Widened

    start, axis = _empty_units(module, whole, width, incoming)
    if incoming and whole.dim() > 1:
        torch.nn.init.normal_(start, std=_START)
    return Widened(start, axis)


def _empty_units(module: Any, whole: Any, width: int, incoming: bool) -> tuple[Any, int]:
    """Zeros in the shape of the new units, and the axis along which to append them."""
    import torch
    from transformers.pytorch_utils import Conv1D

    axis = 0 if whole.dim() == 1 else int(incoming == isinstance(module, Conv1D))  # Conv1D stores its weight transposed
    shape = list(whole.shape)
    shape[axis] = width
    return torch.zeros(shape), axis


def _pad(module: Any, width: int, incoming: bool) -> None:
    """Pad a frozen layer to the new width with zeros, which leaves its outputs unchanged."""
    import torch

    for name in ("weight", "bias") if incoming and module.bias is not None else ("weight",):
        whole = getattr(module, name)
        zeros, axis = _empty_units(module, whole, width, incoming)
        setattr(module, name, torch.nn.Parameter(torch.cat([whole.detach(), zeros], dim=axis), requires_grad=False))


def feed_forward_layers(model: Any) -> list[tuple[Any, bool]]:
    """The linear layers of the encoder's feed-forward blocks, as (layer, whether it leads into the inner width).

    Raises InputError for families with other feed-forward blocks.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    inner, found = _inner_width(model.config), []
    for module in model.base_model.modules():
        if isinstance(module, torch.nn.Linear):
            sides = module.out_features, module.in_features
        elif isinstance(module, Conv1D):
            sides = module.weight.shape[1], module.weight.shape[0]
        else:
            continue
        if sides[0] != sides[1] and inner in sides:
            found.append((module, sides[0] == inner))
    incoming = sum(1 for _, into in found if into)
    if not found or incoming < len(found) - incoming:
        mend = "Use lora, which fits every family"
        raise InputError("method 'adapter'", f"{model.config.model_type!r} has no plain feed-forward blocks", mend)
    return found


def _size_name(config: Any) -> str:
    return next((name for name in SIZES if getattr(config, name, None)), "")


def _inner_width(config: Any) -> int:
    if config.model_type == "gpt2" and not config.n_inner:  # GPT-2 leaves it out where it is four times the width
        config.n_inner = 4 * config.hidden_size
    name = _size_name(config)
    if not name:
        mend = "Use lora, which fits every family"
        raise InputError("method 'adapter'", f"{config.model_type!r} does not name its feed-forward width", mend)
    return int(getattr(config, name))


def _say_width(module: Any, width: int, incoming: bool) -> None:
    """Update the width attributes of a layer after units were added."""
    for name in ("out_features", "nf") if incoming else ("in_features", "nx"):
        if hasattr(module, name):
            setattr(module, name, getattr(module, name) + width)
