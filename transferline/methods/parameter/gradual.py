"""Gradual unfreezing: train the head first, then unfreeze one more layer each epoch, from the top down.

Howard & Ruder, "ULMFiT" (2018), section 3.3: fine-tuning all layers at once, below a head that is still random, risks
catastrophic forgetting.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import Backward, Size
from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, TuningLearner, depth_groups
from transferline.targets import Target
from transferline.targets.target import Examples


class Gradual(FineTuning):
    """Unfreeze layers from the top down, a few each epoch."""

    source: ClassVar[str] = "Howard & Ruder 2018, section 3.3"

    method: Literal["gradual"] = "gradual"
    layers_per_epoch: Annotated[int, Field(ge=1)] = 1

    def backward(self, size: Size, epoch: int) -> Backward:
        # a generator has no new head, so its top layer trains from the first epoch
        layers = (epoch + bool(size.writes)) * self.layers_per_epoch
        share = min(1.0, layers / size.layers) if size.layers else 1.0
        return Backward(share, share)

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        return Thawing(self, target, model, train, validation)


class Thawing(TuningLearner):
    """Unfreezes layers by epoch alone, so that a resumed run unfreezes the same ones."""

    method: Gradual

    def __init__(self, method: Gradual, target: Target, model: Any, train: Examples, validation: Examples) -> None:
        super().__init__(method, target, model, train, validation)
        self.depths = depth_groups(model)

    def before_step(self, step: int, steps: int) -> None:
        epoch = step * self.method.epochs // steps + (0 if self.head else 1)  # without a new head, the top layer starts
        frozen = max(0, len(self.depths) - epoch * self.method.layers_per_epoch)
        for depth, group in enumerate(self.depths):
            for parameter in group:
                parameter.requires_grad_(depth >= frozen)
