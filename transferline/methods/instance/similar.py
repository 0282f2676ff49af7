"""Select source examples: the nearest to the target's examples, or those in given slices.

Moore & Lewis (2010) select training data that resembles the target. Here nearest neighbours on a model's features do it, as
Aharoni & Goldberg, "Unsupervised Domain Clusters in Pretrained Language Models" (2020), section 4, select sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.stage import Work
from transferline.methods.instance.nearest import nearest
from transferline.methods.instance.source_examples import ByFeatures


class Similar(ByFeatures):
    """Select the source examples nearest to the target's examples, optionally from some slices only."""

    source: ClassVar[str] = "Aharoni & Goldberg 2020, section 4"

    method: Literal["similar"] = "similar"
    k: Annotated[int, Field(ge=1)] | None = 5
    """number of source examples to select for each target example; empty: all"""
    slices: Mapping[str, tuple[str, ...]] = Field(default={})
    """column -> values to keep; the source target must declare the column in its own `slices`"""
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """number of principal components to compare; empty: all features"""

    def flops(self, size: Size, tokens: StepTexts) -> float:
        return 0.0 if self.k is None else super().flops(size, tokens)  # slices are chosen without features

    def selects(self, tokens: StepTexts) -> Lengths:
        own, sources = tokens["train"], Lengths.joined(tokens.sources())
        chosen = len(sources) if self.k is None else self.k * len(own)
        return Lengths.joined([own, sources.longest(chosen)])

    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        weights = np.array([float(self._wanted(row)) for row in source_rows])
        if not weights.any():
            what = f"no row of {', '.join(self.source_tasks)} is in the slices {self.slices}"
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
