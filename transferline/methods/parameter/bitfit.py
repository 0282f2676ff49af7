"""BitFit: train only the biases and the head.

Ben Zaken, Goldberg & Ravfogel, "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models"
(2022), section 2: 0.1 % of the parameters, competitive on small targets. The result is an ordinary model.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from transferline.core.errors import InputError
from transferline.core.flops import FROZEN_WEIGHTS, Backward, Prior, Size
from transferline.methods.parameter.tuning import FineTuning, head_of
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Schedule


class BitFit(FineTuning):
    """Fine-tune the biases and the head only."""

    source: ClassVar[str] = "Ben Zaken et al. 2022, section 2"
    prior: ClassVar[Prior] = Prior(below_full=0.01)

    method: Literal["bitfit"] = "bitfit"
    # few parameters train, so the rate is above full fine-tuning's
    schedule: Schedule = Schedule(batch_size=16, learning_rate=1e-3)

    def backward(self, size: Size, epoch: int) -> Backward:
        return FROZEN_WEIGHTS

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        head = head_of(model, target)
        biases = {name for name, p in model.named_parameters() if name.endswith("bias") and p.requires_grad}
        if not biases:
            mend = "Use lora, which fits every family"
            raise InputError("method 'bitfit'", f"{model.config.model_type!r} models have no biases", mend)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in biases or id(parameter) in head)
        return model
