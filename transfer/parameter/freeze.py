"""Freezing the lowest layers: what is general stays as it was, what is specific is learnt.

Lee, Tang & Lin, "What Would Elsa Do?" (2019): a quarter of BERT's layers fine-tuned keep 90 % of the quality; the embeddings and
the lowest layers move least of all in full fine-tuning anyway.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transfer.parameter.tuning import FineTuning, depth_groups
from transfer.targets import Target
from transfer.targets.target import Examples


class Freeze(FineTuning):
    """Fine-tune all but the embeddings and the lowest layers."""

    source: ClassVar[str] = "Lee et al. 2019"

    method: Literal["freeze"] = "freeze"
    lowest: Annotated[int, Field(ge=0)] = 2
    """layers that stand still, the embeddings with them; as many as there are: the head alone learns"""

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        for group in depth_groups(model)[: self.lowest + 1]:
            for parameter in group:
                parameter.requires_grad_(False)
        return model
