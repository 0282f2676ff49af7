"""From-scratch control: the same architecture and training with random initialisation.

Its score shows how much this network learns from the labels alone. The pretrained model's gain over it is the effect of transfer.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from transferline.core.flops import Size, StepTexts
from transferline.core.stage import Stage, StageKind, Work
from transferline.methods.parameter.full import Full
from transferline.training.learner import TRAINED


class Scratch(Stage):
    """Train the base's architecture from random weights like the challenger; instead of a probe, by full fine-tuning."""

    kind: ClassVar[StageKind] = "control"
    version: ClassVar[int] = TRAINED
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    long: ClassVar[bool] = True
    gpu: ClassVar[bool] = True
    random: ClassVar[bool] = True

    method: Literal["scratch"] = "scratch"
    tune: Full = Full()

    def flops(self, size: Size, tokens: StepTexts) -> float:
        return self.tune.flops(size, tokens)

    def leaves(self, size: Size, tokens: StepTexts) -> Size:
        return self.tune.leaves(size, tokens)

    def build(self, work: Work) -> dict[str, float]:
        return self.tune.fit(work, pretrained=False)
