"""Feature extraction from any layers: pooled by the mean, set side by side, under a linear model.

Devlin et al., "BERT" (2019), section 5.3 and table 7; Peters et al., "To Tune or Not to Tune?" (2019). Layer 0 is the
embeddings without any context, so `layers: [0]` makes static embeddings of any base.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from transferline.core.problem import Ability, TargetKind
from transferline.core.stage import Work
from transferline.methods.parameter.probe import Probe
from transferline.targets import target_of
from transferline.targets.sequence import SequenceTarget


class Extraction(Probe):
    """Frozen features of chosen layers, concatenated, and a linear model."""

    source: ClassVar[str] = "Devlin et al. 2019, section 5.3"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["extraction"] = "extraction"  # type: ignore[assignment]
    layers: tuple[int, ...] = (-4, -3, -2, -1)
    """hidden states to read: 0 are the embeddings, -1 the last layer"""

    def build(self, work: Work) -> dict[str, float]:
        target = target_of(work.data["train"])
        assert isinstance(target, SequenceTarget)
        from transferline.models.layered import layered

        model = layered(work.needs_parent(), self.layers, target.labels, target.problem, work.seed)
        return self.fit(model, target, work)
