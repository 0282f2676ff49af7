"""Selection of source examples: the nearest to the target's own, and slices by what is known about a row.

Nearest neighbours after Moore & Lewis's idea of learning only from what resembles the target (2010), here on a model's features as
Aharoni & Goldberg, "Unsupervised Domain Clusters in Pretrained Language Models" (2020), section 4, select sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.stage import Work
from transferline.methods.instance.nearest import nearest
from transferline.methods.instance.source_examples import ByFeatures


class Similar(ByFeatures):
    """Take the source examples that are nearest to the target's own, or of some slices only."""

    source: ClassVar[str] = "Aharoni & Goldberg 2020, section 4"

    method: Literal["similar"] = "similar"
    k: Annotated[int, Field(ge=1)] | None = 5
    """source examples that each example of the target picks; empty: all"""
    slices: Mapping[str, tuple[str, ...]] = Field(default={})
    """column -> values that are wanted; the source target must declare the column in its own `slices`"""
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """principal components that are looked at; empty: all of the features"""

    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        weights = np.array([float(self._wanted(row)) for row in source_rows])
        if not weights.any():
            what = f"no row of {', '.join(self.source_tasks)} lies in the slices {self.slices}"
            raise InputError("method 'similar'", what, "Choose other values")
        if self.k is not None:
            inside = np.flatnonzero(weights).tolist()
            mine, theirs = self.features(work, own, [source_rows[i] for i in inside])
            chosen, _ = nearest(theirs, mine, self.k)
            weights[:] = 0.0
            weights[[inside[i] for i in chosen]] = 1.0
        return weights

    def _wanted(self, row: dict) -> bool:
        known = row.get("slices", {})
        for column in self.slices:
            if column not in known:
                mend = f"Declare `slices: [{column}]` for the source target in params.yaml"
                raise InputError("method 'similar'", f"source rows have no slice {column!r}", mend)
        return all(known[column] in values for column, values in self.slices.items())
