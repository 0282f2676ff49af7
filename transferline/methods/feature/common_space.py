"""A common space for sources and a target that do not share their features: other columns, or a matrix and texts.

Wang & Mahadevan, "Heterogeneous Domain Adaptation using Manifold Alignment" (2011), section 3: a linear map for each side, so that
examples of one label come together whatever side they are from, examples of different labels come apart, and neighbours on
one side stay neighbours. A generalised eigenvalue problem; the labels are what the sides have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.problem import Ability, Need, TargetKind
from transferline.core.stage import Work
from transferline.data.feature_matrix import sparse
from transferline.data.prepared_files import features_of, read_jsonl
from transferline.data.rows import Rows
from transferline.methods.feature.source_features import Meeting, SourceFeatures, Space
from transferline.methods.parameter.linear import std
from transferline.models.tokenization import TokenizerSettings
from transferline.targets import Target


class CommonSpace(Meeting):
    """Rows of another matrix and the target's frozen features, mapped to a space that they share, and a linear model."""

    source: ClassVar[str] = "Wang & Mahadevan 2011, section 3"
    needs: ClassVar[tuple[Need, ...]] = ("same labels",)
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label",)
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["common-space"] = "common-space"  # type: ignore[assignment]
    dimensions: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2, 4, 8, 16)
    """of the common space, of which validation chooses; labels span one less than there are of them, and more are never used"""
    components: Annotated[int, Field(ge=1)] = 100
    """principal components of each side that the maps start from"""
    ridge: Annotated[float, Field(gt=0)] = 0.3
    """added to what is brought together and apart, in units of their mean variance: few labels overfit their map"""
    topology: Annotated[float, Field(ge=0)] = 0.1
    """how much neighbours are to stay neighbours, beside the labels' pull"""
    neighbours: Annotated[int, Field(ge=1)] = 5

    def source_rows(
        self, model: Any, target: Target, tokenizer: Any, reading: TokenizerSettings, work: Work
    ) -> list[SourceFeatures]:
        return [self._lending(model, target, tokenizer, reading, work, name) for name in self.source_tasks]

    def _lending(
        self, model: Any, target: Target, tokenizer: Any, reading: TokenizerSettings, work: Work, name: str
    ) -> SourceFeatures:
        path = work.data[f"{name}/train"]
        records = read_jsonl(path)
        width = features_of(records[0])
        if width == (tokenizer.width if isinstance(tokenizer, Rows) else None):  # what the base reads, it reads
            part = target.examples(path, tokenizer, reading)
            return SourceFeatures(target.features(model, part), part.y_true)
        if width is None:
            mend = "Let the matrix be the source and the texts the target"
            raise InputError(f"method 'common-space', source {name!r}", "its texts have no features of their own", mend)
        rows = sparse([record["text"] for record in records], width).toarray().astype(np.float64)
        return SourceFeatures(rows, np.asarray(target.truth_of(records)))

    def spaces(self, source_rows: Sequence[SourceFeatures], own: SourceFeatures) -> Iterator[Space]:
        labels = len({int(label) for one in (own, *source_rows) for label in one.y_true})
        for k in sorted({min(k, max(1, labels - 1)) for k in self.dimensions}):
            sides = common_space([own, *source_rows], k, self.components, self.ridge, self.topology, self.neighbours)
            (middle, mapping), *others = sides
            points = [(one.features - m) @ p for one, (m, p) in zip(source_rows, others, strict=True)]
            yield Space(points, mapping, middle)


def common_space(
    sides: Sequence[SourceFeatures], dimensions: int, components: int, ridge: float, topology: float, neighbours: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each side its middle (width,) and its map (width, k) to the common space; every side counts the same in total."""
    from scipy.linalg import block_diag, eigh

    started = [_components(side.features, components) for side in sides]
    reduced = [(side.features - middle) @ axes for side, (middle, axes) in zip(sides, started, strict=True)]
    same, other = _scatter(reduced, [side.y_true for side in sides])
    kept = block_diag(*(_neighbourhood(points, neighbours) for points in reduced))
    pull = same + topology * np.trace(same) / max(np.trace(kept), 1e-12) * kept
    ridges = [ridge * np.trace(matrix) / len(matrix) * np.eye(len(matrix)) for matrix in (pull, other)]
    k = min(dimensions, len(pull))
    _, vectors = eigh(pull + ridges[0], other + ridges[1], subset_by_index=(0, k - 1))
    ends = np.cumsum([points.shape[1] for points in reduced])[:-1]
    parts = zip(started, np.split(vectors, ends), strict=True)
    maps = [(middle, axes @ part) for (middle, axes), part in parts]
    scale = std(np.concatenate([(s.features - m) @ p for s, (m, p) in zip(sides, maps, strict=True)]))
    return [(middle, mapping / scale) for middle, mapping in maps]


def _components(points: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Middle, and the first principal axes (width, k) in units of the side's spread."""
    middle = points.mean(axis=0)
    _, values, axes = np.linalg.svd(points - middle, full_matrices=False)
    k = max(1, min(most, int((values > 1e-6 * values[0]).sum()) if len(values) else 1))
    return middle, axes[:k].T / std(points)


def _scatter(sides: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Z L Z' of the pairs with the same label and of those with different ones (the paper's L_s and L_d), over all sides.

    Weights of a pair multiply; each side's sum to one. Only sums over labels are needed, never a matrix of all pairs.
    """
    starts = np.cumsum([0, *(points.shape[1] for points in sides)])
    width = int(starts[-1])
    labels = sorted({int(label) for y_true in truths for label in y_true})
    mass, sums = dict.fromkeys(labels, 0.0), {label: np.zeros(width) for label in labels}
    squares = {label: np.zeros((width, width)) for label in labels}
    for points, y_true, start in zip(sides, truths, starts, strict=False):
        place = slice(int(start), int(start) + points.shape[1])
        for label in labels:
            chosen = points[y_true == label]
            mass[label] += len(chosen) / len(points)
            sums[label][place] += chosen.sum(axis=0) / len(points)
            squares[label][place, place] += chosen.T @ chosen / len(points)
    total = sum(mass.values())
    inner = np.sum([np.outer(one, one) for one in sums.values()], axis=0)
    whole = np.sum(list(sums.values()), axis=0)
    near = np.sum([mass[label] * squares[label] for label in labels], axis=0)
    far = np.sum([(total - mass[label]) * squares[label] for label in labels], axis=0)
    return near - inner, far - (np.outer(whole, whole) - inner)


def _neighbourhood(points: np.ndarray, k: int) -> np.ndarray:
    """X' L X of the graph of nearest neighbours, per example."""
    from scipy.sparse.csgraph import laplacian
    from sklearn.neighbors import kneighbors_graph

    graph = kneighbors_graph(points, min(k, len(points) - 1), mode="connectivity")
    return points.T @ (laplacian((graph + graph.T) / 2) @ points) / len(points)
