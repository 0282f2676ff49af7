"""LoRA: freeze the weights and train low-rank updates of them.

Hu et al., "LoRA" (2021), section 4.1: W + (alpha / rank) B A. B is zero at the start, so training starts at the parent's outputs.
peft implements it. The updates are merged before saving, so the served model has the parent's architecture and cost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import Backward, Prior, Size, StepTexts
from transferline.methods.parameter.full import plain
from transferline.methods.parameter.merging import merged, wrapped
from transferline.methods.parameter.tuning import FineTuning
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Schedule


class Lora(FineTuning):
    """Train low-rank updates of every linear layer of the encoder, then merge them."""

    source: ClassVar[str] = "Hu et al. 2021, section 4.1"
    prior: ClassVar[Prior] = Prior(below_full=0.008)  # Hu et al. 2022, table 2

    method: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1)] = 8
    alpha: Annotated[int, Field(ge=1)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    schedule: Schedule = Schedule(batch_size=16, learning_rate=5e-4)

    def network(self, size: Size, tokens: StepTexts) -> Size:
        size = super().network(size, tokens)
        return replace(size, weights=size.weights + self._added(size))

    def leaves(self, size: Size, tokens: StepTexts) -> Size:
        return plain(self).leaves(size, tokens)  # the updates are merged

    def backward(self, size: Size, epoch: int) -> Backward:
        return Backward(weights=min(1.0, self._added(size) / size.weights) if size.weights else 0.0)

    def _added(self, size: Size) -> float:
        """Weights of the updates: `rank` for each input and output of four attention and two feed-forward layers."""
        return self.rank * size.layers * (10 * size.width + 2 * size.inner)

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        from peft import LoraConfig

        names = linear_layers(model, target)
        config = LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=names)
        return wrapped(model, config, target)

    def finish(self, model: Any) -> Any:
        return merged(model)


def linear_layers(model: Any, target: Target) -> list[str]:
    """Names of the encoder's trainable linear layers, without the head, frozen layers and tied embeddings."""
    import torch
    from transformers.pytorch_utils import Conv1D

    from transferline.methods.parameter.tuning import head_of

    head = head_of(model, target)
    names = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            weight = module.weight
            tied = weight is getattr(model.get_input_embeddings(), "weight", None)
            if id(weight) not in head and weight.requires_grad and not tied:
                names.append(name)
    return names
