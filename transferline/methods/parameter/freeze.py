"""Freeze the embeddings and the lowest layers, and fine-tune the rest.

Lee, Tang & Lin, "What Would Elsa Do?" (2019): fine-tuning a quarter of BERT's layers keeps 90 % of the quality. The embeddings
and the lowest layers also change least in full fine-tuning. Frozen layers run in evaluation mode, so their activations are
computed once for all epochs, seeds and label budgets (transferline/targets/frozen_layers.py).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import Backward, Prior, Size
from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, TuningLearner, depth_groups
from transferline.targets import Target
from transferline.targets.frozen_layers import FrozenPrefix, stand_still
from transferline.targets.sequence import SequenceTarget
from transferline.targets.target import Examples
from transferline.training.learner import TRAINED


class Freeze(FineTuning):
    """Fine-tune all but the embeddings and the lowest layers."""

    version: ClassVar[int] = TRAINED + 1  # no dropout in frozen layers
    source: ClassVar[str] = "Lee et al. 2019"
    prior: ClassVar[Prior] = Prior(below_full=0.005)

    method: Literal["freeze"] = "freeze"
    lowest: Annotated[int, Field(ge=0)] = 2
    """number of frozen layers, from the bottom, with the embeddings; if all are frozen, only the head trains"""

    def backward(self, size: Size, epoch: int) -> Backward:
        share = max(0.0, 1 - self.lowest / size.layers) if size.layers else 1.0
        return Backward(share, share)

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        for group in depth_groups(model)[: self.lowest + 1]:  # + 1: group 0 holds the embeddings
            for parameter in group:
                parameter.requires_grad_(False)
        stand_still(model)
        return model

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        prefix = FrozenPrefix.of(model, work) if isinstance(target, SequenceTarget) else None
        if prefix is None:
            return super().learner(target, model, train, validation, work)
        work.runtime.place(model)
        sides = prefix.examples(train), prefix.examples(validation)
        return TuningLearner(self, target, prefix.take_off(), *sides)

    def finish(self, model: Any) -> Any:
        prefix = getattr(model, "prefix", None)
        return model if prefix is None else prefix.put_back()
