"""Transfer the lowest layers only: the rest of the network is drawn anew, and everything learns.

Yosinski et al., "How transferable are features in deep neural networks?" (2014), section 2: how much of what was learnt must be
carried over is seen by carrying over less and less. That the topmost layers of a pretrained encoder are sometimes better drawn
anew is Zhang et al., "Revisiting Few-sample BERT Fine-tuning" (2021), section 5.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, depth_groups
from transferline.targets import Target


class Reinitialise(FineTuning):
    """Keep embeddings and the lowest layers of the source, draw the others anew, and fine-tune."""

    source: ClassVar[str] = "Yosinski et al. 2014, section 2; Zhang et al. 2021, section 5"

    method: Literal["reinitialise"] = "reinitialise"
    kept: Annotated[int, Field(ge=0)] = 2
    """layers that are transferred, from the bottom; 0: the embeddings only"""

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        import torch

        model = super().load(target, work, pretrained)
        groups = depth_groups(model)
        if self.kept > len(groups) - 1:
            mend = f"Keep {len(groups) - 1} at most"
            raise InputError("method 'reinitialise'", f"the base has no {self.kept} layers", mend)
        fresh = depth_groups(super().load(target, work, False))
        with torch.no_grad():
            for group, drawn in zip(groups[self.kept + 1 :], fresh[self.kept + 1 :], strict=True):
                for parameter, new in zip(group, drawn, strict=True):
                    parameter.copy_(new)
        return model
