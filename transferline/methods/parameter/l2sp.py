"""L2-SP: regularise towards the pretrained weights instead of towards zero.

Li, Grandvalet & Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks" (2018), section 3. Their
penalty is meant for plain gradient descent. Adam normalises its steps, so the size of a penalty in the loss would not matter.
The pull is therefore decoupled from the loss, as AdamW decouples weight decay (Loshchilov & Hutter 2019). After each step
w <- w - min(1, rate x pull) (w - w0), where w0 are the pretrained weights. A pull of zero is full fine-tuning. A very large
pull keeps the encoder at its pretrained weights.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, TuningLearner
from transferline.targets import Target
from transferline.targets.target import Examples


class L2SP(FineTuning):
    """Fine-tune with a pull towards the source weights."""

    source: ClassVar[str] = "Li et al. 2018, section 3"

    method: Literal["l2-sp"] = "l2-sp"
    pull: Annotated[float, Field(ge=0)] = 100.0
    """regularisation strength; each step moves the weights back by the share `rate x pull` of their distance to the source"""

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        return Pulled(self, target, model, train, validation)


class Pulled(TuningLearner):
    """Keeps a copy of the pretrained encoder weights. The head is new, so it has ordinary weight decay only."""

    method: L2SP

    def __init__(self, method: L2SP, target: Target, model: Any, train: Examples, validation: Examples) -> None:
        super().__init__(method, target, model, train, validation)
        moving = [p for p in model.parameters() if p.requires_grad and id(p) not in self.head]
        self.anchors = [(p, p.detach().clone()) for p in moving]

    def after_step(self, rate: float) -> None:
        import torch

        share = min(1.0, rate * self.method.pull)
        if share == 0.0:
            return
        with torch.no_grad():
            for parameter, anchor in self.anchors:
                parameter.lerp_(anchor.to(parameter.device), share)
