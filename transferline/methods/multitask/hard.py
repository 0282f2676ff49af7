"""Hard parameter sharing: one encoder for all tasks, one head for each task.

Caruana, "Multitask Learning" (1997), section 2; on transformers Liu et al., "Multi-Task Deep Neural Networks" (2019), section 3.
The tasks may have different kinds, for example regression with classification, or tagging with topics. Without source tasks every
step equals plain fine-tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from transferline.methods.multitask.joint import Multitask, tie
from transferline.methods.parameter.tuning import TuningLearner


class HardSharing(Multitask):
    """Train the target and source tasks together on one shared encoder."""

    source: ClassVar[str] = "Caruana 1997, section 2; Liu et al. 2019, section 3"

    method: Literal["hard-sharing"] = "hard-sharing"

    def share(self, model: Any, others: Sequence[TuningLearner]) -> None:
        for part in others:
            tie(part.model, model)
