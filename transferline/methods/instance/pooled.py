"""Pooling: train on all source examples with the target's own. The simplest instance transfer, and a baseline for the others.

Daume III, "Frustratingly Easy Domain Adaptation" (2007), section 2: "Src + Tgt" with weight 1, "Weighted" with another weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.stage import Work
from transferline.methods.instance.source_examples import Instances


class Pooled(Instances):
    """Use every source example with the same weight."""

    source: ClassVar[str] = "Daume III 2007, section 2"

    method: Literal["pooled"] = "pooled"
    weight: Annotated[float, Field(gt=0)] = 1.0
    """weight of a source example; a target example has weight 1"""

    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        return np.full(len(source_rows), self.weight)
