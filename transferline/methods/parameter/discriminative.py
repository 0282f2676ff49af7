"""Discriminative fine-tuning: a lower learning rate for each lower layer.

Howard & Ruder, "ULMFiT" (2018), section 3.2, use a factor of 1 / 2.6 per layer. Sun et al., "How to Fine-Tune BERT" (2019),
section 5.3.4, found 0.95 best for BERT. The schedule is ULMFiT's slanted triangular one. A decay of 1 is a single learning rate.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, TuningLearner, depth_groups
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Schedule


class Discriminative(FineTuning):
    """Layer-wise learning rate decay with the slanted triangular schedule."""

    source: ClassVar[str] = "Howard & Ruder 2018, section 3.2; Sun et al. 2019, section 5.3.4"

    method: Literal["discriminative"] = "discriminative"
    decay: Annotated[float, Field(gt=0, le=1)] = 0.95
    """learning rate of a layer divided by that of the layer above it"""
    schedule: Schedule = Schedule(batch_size=16, shape="slanted")

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        return Layered(self, target, model, train, validation)


class Layered(TuningLearner):
    """Trains the top layer at the peak learning rate, and each lower layer at `decay` times the rate above it."""

    method: Discriminative

    def groups(self, rate: float) -> list[dict]:
        depths = depth_groups(self.model)
        top = len(depths) - 1
        layers = [{"params": group, "lr": rate * self.method.decay ** (top - i)} for i, group in enumerate(depths)]
        encoder = {id(p) for group in depths for p in group}
        head = [p for p in self.model.parameters() if p.requires_grad and id(p) not in encoder]
        # a pretrained language model head trains like the top layer
        head_rate_now = self.method.head_learning_rate if self.head else rate
        return [group for group in (*layers, {"params": head, "lr": head_rate_now}) if group["params"]]
