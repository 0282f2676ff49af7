"""Full fine-tuning: the pretrained weights are the initialisation, and everything learns.

Devlin et al., "BERT" (2019), section 4: few epochs, small rate. The guards against overfitting a small target are early
stopping on validation, a short warm-up (Mosbach et al. 2021: without it small-data fine-tuning is unstable), restarts, and
several seeds of which validation chooses the one that ships.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from transferline.methods.parameter.tuning import FineTuning


class Full(FineTuning):
    """Fine-tune every parameter on the target's training split."""

    source: ClassVar[str] = "Devlin et al. 2019, section 4"

    method: Literal["full"] = "full"


def plain(method: FineTuning) -> Full:
    """Full fine-tuning with the settings that a method shares with it: what the method is without what it adds."""
    return Full(**{name: getattr(method, name) for name in FineTuning.model_fields})
