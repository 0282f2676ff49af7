"""Freezing the lowest layers: what is general stays as it was, what is specific is learnt.

Lee, Tang & Lin, "What Would Elsa Do?" (2019): a quarter of BERT's layers fine-tuned keep 90 % of the quality; the embeddings and
the lowest layers move least of all in full fine-tuning anyway. They stand in evaluation mode, so what they make of a text is
computed once for all epochs, seeds and label budgets (transferline/targets/frozen_layers.py).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, TuningLearner, depth_groups
from transferline.targets import Target
from transferline.targets.frozen_layers import FrozenPrefix, stand_still
from transferline.targets.sequence import SequenceTarget
from transferline.targets.target import Examples


class Freeze(FineTuning):
    """Fine-tune all but the embeddings and the lowest layers."""

    version: ClassVar[int] = 2  # no dropout in what is frozen
    source: ClassVar[str] = "Lee et al. 2019"

    method: Literal["freeze"] = "freeze"
    lowest: Annotated[int, Field(ge=0)] = 2
    """layers that stand still, the embeddings with them; as many as there are: the head alone learns"""

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        for group in depth_groups(model)[: self.lowest + 1]:
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
