"""From scratch: the same architecture and the same training, without any pretrained weight.

What it scores is what the labels alone are worth to this network; what a pretrained one scores above it is transfer.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from transferline.core.stage import Stage, StageKind, Work
from transferline.methods.parameter.full import Full


class Scratch(Stage):
    """Random weights in the shape of the base, tuned like the challenger (a probe: by full fine-tuning)."""

    kind: ClassVar[StageKind] = "control"
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    long: ClassVar[bool] = True
    gpu: ClassVar[bool] = True
    random: ClassVar[bool] = True

    method: Literal["scratch"] = "scratch"
    tune: Full = Full()

    def build(self, work: Work) -> dict[str, float]:
        return self.tune.fit(work, pretrained=False)
