"""LoRA: freeze the weights and train low-rank updates of them.

Hu et al., "LoRA" (2021), section 4.1: W + (alpha / rank) B A. B is zero at the start, so training starts at the parent's outputs.
peft implements it. The updates are merged before saving, so the served model has the parent's architecture and cost.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.methods.parameter.merging import merged, wrapped
from transferline.methods.parameter.tuning import FineTuning
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Schedule


class Lora(FineTuning):
    """Train low-rank updates of every linear layer of the encoder, then merge them."""

    source: ClassVar[str] = "Hu et al. 2021, section 4.1"

    method: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1)] = 8
    alpha: Annotated[int, Field(ge=1)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    schedule: Schedule = Schedule(batch_size=16, learning_rate=5e-4)

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
