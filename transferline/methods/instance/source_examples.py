"""Base classes of instance transfer: write the target's examples (weight 1), then the source examples with their weights.

The weights are a field of the prepared records. Every method of `tune` reads examples in one place, so all of them use the weights.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import PADDING, Lengths, Prior, Size, StepTexts
from transferline.core.problem import WEIGHING, Ability, Need, Transfer
from transferline.core.stage import Progress, Stage, StageKind, Work, name_of
from transferline.data.prepared_files import content_of, kind_of, read_jsonl, write_jsonl
from transferline.methods.label_budget import FILE
from transferline.models.embeddings import embed
from transferline.models.tokenization import TokenizerSettings
from transferline.targets.example_weights import WEIGHT

LEAST = 1e-6  # rows with a lower weight are left out


class Instances(Stage):
    """Base class of methods that weight the examples of source tasks."""

    kind: ClassVar[StageKind] = "select"
    reads: ClassVar[tuple[str, ...]] = ("train",)
    random: ClassVar[bool] = False
    transfer: ClassVar[Transfer] = "instance"
    needs: ClassVar[tuple[Need, ...]] = WEIGHING
    prior: ClassVar[Prior] = Prior(source_share=1.0)

    source_tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """source tasks: targets of params.yaml whose training examples are used"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(f"{name}/train" for name in self.source_tasks))

    def selects(self, tokens: StepTexts) -> Lengths:
        return tokens.every()

    def build(self, work: Work) -> dict[str, float]:
        own = read_jsonl(work.data["train"])
        source_rows = [row for name in self.source_tasks for row in read_jsonl(work.data[f"{name}/train"])]
        kinds = {kind_of(work.data[role]) for role in self.roles()}
        if len(kinds) > 1:
            what = f"its sources are targets of other kinds: {', '.join(sorted(kinds))}"
            raise InputError(f"method {name_of(type(self))!r}", what, "Use source tasks of the target's own kind")
        weights = np.asarray(self.weigh(work, own, source_rows), dtype=float)
        kept = [(row, weight) for row, weight in zip(source_rows, weights, strict=True) if weight > LEAST]
        figures = {
            "borrowed": float(len(kept)),
            "of": float(len(source_rows)),
            "mean_weight": float(weights.mean()),
            "effective": effective(weights),
            "own": float(len(own)),
        }
        work.report(Progress(work.name, 1, 1, "selections", 0.0, figures))
        source_examples = ({**row, WEIGHT: round(float(weight), 6)} for row, weight in kept)
        write_jsonl(work.out / FILE, [*({**row, WEIGHT: 1.0} for row in own), *source_examples])
        return figures

    @abstractmethod
    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        """Weights (n,), zero or more, of the n source records `lent`. The target's own records have weight 1."""


class ByFeatures(Instances):
    """Base class of methods that compare examples by the features of the chain's current model."""

    gpu: ClassVar[bool] = True
    ability: ClassVar[Ability | None] = "encode"

    max_tokens: Annotated[int, Field(ge=8)] = 128
    dimensions: Annotated[int, Field(ge=1)] | None = 32
    """number of principal components to use; empty: all features"""

    def flops(self, size: Size, tokens: StepTexts) -> float:
        return PADDING * size.forward(tokens.cut(self.max_tokens).every())

    def features(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
        """Features (n, d) of the target's and (m, d) of the source records, jointly centred and scaled to unit variance."""
        texts = [content_of(row["text"], row.get("pair")) for row in (*own, *source_rows)]
        points = embed(work.needs_parent(), texts, TokenizerSettings(self.max_tokens), work.runtime, work.cache).astype(
            np.float64
        )
        points = reduced(points, self.dimensions)
        return points[: len(own)], points[len(own) :]


def reduced(points: np.ndarray, dimensions: int | None) -> np.ndarray:
    """Whitened principal components of points (n, d), or all features standardised if `dimensions` is None."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    if dimensions is None:
        return StandardScaler().fit_transform(points)
    most = min(dimensions, *points.shape)
    return PCA(most, whiten=True, svd_solver="full").fit_transform(points)


def effective(weights: np.ndarray) -> float:
    """Kish's effective sample size: the equivalent number of equally weighted examples."""
    total = float(weights.sum())
    return total**2 / float((weights**2).sum()) if total > 0 else 0.0


def labels_of(*sides: Sequence[dict]) -> tuple[list[np.ndarray], list[Any]]:
    """Label numbers (n,) of the records of each side, numbered together, and the label names in that order."""
    names = sorted({row["label"] for side in sides for row in side})
    number = {name: i for i, name in enumerate(names)}
    return [np.array([number[row["label"]] for row in side], dtype=int) for side in sides], names
