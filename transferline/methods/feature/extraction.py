"""Feature extraction: mean-pool and concatenate the hidden states of chosen layers, and fit a linear model.

Devlin et al., "BERT" (2019), section 5.3 and table 7; Peters et al., "To Tune or Not to Tune?" (2019). Layer 0 is the
context-free embedding layer, so `layers: [0]` gives static embeddings of any base.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from transferline.core.flops import Size, StepTexts
from transferline.core.problem import Ability, TargetKind
from transferline.core.stage import Work
from transferline.methods.parameter.probe import Probe
from transferline.targets import target_of
from transferline.targets.sequence import SequenceTarget


class Extraction(Probe):
    """Fit a linear model on the concatenated frozen features of chosen layers."""

    source: ClassVar[str] = "Devlin et al. 2019, section 5.3"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["extraction"] = "extraction"  # type: ignore[assignment]
    layers: tuple[int, ...] = (-4, -3, -2, -1)
    """hidden states to use: 0 is the embedding layer, -1 the last layer"""

    def feature_layers(self) -> tuple[int, ...]:
        return self.layers

    def leaves(self, size: Size, tokens: StepTexts) -> Size:
        return size

    def build(self, work: Work) -> dict[str, float]:
        target = target_of(work.data["train"])
        assert isinstance(target, SequenceTarget)
        from transferline.models.layered import layered

        model = layered(work.needs_parent(), self.layers, target.labels, target.problem, work.seed)
        return self.fit(model, target, work)
