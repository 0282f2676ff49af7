"""All of the sources' examples beside the target's own: the plainest instance transfer, and the bar for the others.

"Src + Tgt" of Daume III, "Frustratingly Easy Domain Adaptation" (2007), section 2, and with another weight its "Weighted".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.stage import Work
from transferline.methods.instance.source_examples import Instances


class Pooled(Instances):
    """Take every example of the sources, each with the same weight."""

    source: ClassVar[str] = "Daume III 2007, section 2"

    method: Literal["pooled"] = "pooled"
    weight: Annotated[float, Field(gt=0)] = 1.0
    """of a source example; a target's own weighs 1"""

    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        return np.full(len(source_rows), self.weight)
