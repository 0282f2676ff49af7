"""Transfer the lowest layers only: initialise the layers above at random, then fine-tune everything.

Yosinski et al., "How transferable are features in deep neural networks?" (2014), section 2, transfer fewer and fewer layers to
measure how much each adds. Zhang et al., "Revisiting Few-sample BERT Fine-tuning" (2021), section 5, found that random
initialisation of the top layers of a pretrained encoder sometimes helps.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Prior
from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, depth_groups
from transferline.targets import Target


class Reinitialise(FineTuning):
    """Keep the embeddings and the lowest layers, initialise the others at random, and fine-tune."""

    source: ClassVar[str] = "Yosinski et al. 2014, section 2; Zhang et al. 2021, section 5"
    prior: ClassVar[Prior] = Prior(below_full=0.05)

    method: Literal["reinitialise"] = "reinitialise"
    kept: Annotated[int, Field(ge=0)] = 2
    """number of layers to transfer, counted from the bottom; 0: the embeddings only"""

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        import torch

        model = super().load(target, work, pretrained)
        groups = depth_groups(model)
        if self.kept > len(groups) - 1:
            mend = f"Keep {len(groups) - 1} at most"
            raise InputError("method 'reinitialise'", f"the base has no {self.kept} layers", mend)
        fresh = depth_groups(super().load(target, work, False))  # the same architecture with random weights
        with torch.no_grad():
            for group, drawn in zip(groups[self.kept + 1 :], fresh[self.kept + 1 :], strict=True):
                for parameter, new in zip(group, drawn, strict=True):
                    parameter.copy_(new)
        return model
