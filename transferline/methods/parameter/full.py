"""Full fine-tuning: start from the pretrained weights and train all of them.

Devlin et al., "BERT" (2019), section 4: few epochs and a small learning rate. Four guards prevent overfitting on a small
target: early stopping on validation, a short warm-up (Mosbach et al. 2021: fine-tuning on small data is unstable without it),
restarts, and several seeds. Validation chooses the seed that ships.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from transferline.methods.parameter.tuning import FineTuning


class Full(FineTuning):
    """Fine-tune every parameter on the target's training split."""

    source: ClassVar[str] = "Devlin et al. 2019, section 4"

    method: Literal["full"] = "full"


def plain(method: FineTuning) -> Full:
    """Full fine-tuning with a method's own settings: the baseline that shows the effect of the method."""
    return Full(**{name: getattr(method, name) for name in FineTuning.model_fields})
