"""kNN-TAPT: select the corpus texts nearest to the task's training texts.

Gururangan et al., "Don't Stop Pretraining" (2020), section 5.2: embed task and domain texts, and select the k nearest domain texts
of each training example. The chain's current model embeds the texts (mean over tokens), and the search is exact (scikit-learn).
A pretraining objective after this stage reads the selection with `text: selected`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import PADDING, Size, StepTexts
from transferline.core.problem import Ability
from transferline.core.stage import Progress, Stage, StageKind, Work
from transferline.data.prepared_files import read_texts, write_jsonl
from transferline.methods.objectives.objective import SELECTED_FILE
from transferline.models.embeddings import embed
from transferline.models.tokenization import TokenizerSettings


class Nearest(Stage):
    """Select the corpus texts nearest to the task's training texts."""

    kind: ClassVar[StageKind] = "select"
    gpu: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("corpus", "train")
    random: ClassVar[bool] = False
    source: ClassVar[str] = "Gururangan et al. 2020, section 5.2"
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["nearest"] = "nearest"
    k: Annotated[int, Field(ge=1)] = 50
    """number of corpus texts to select for each training example"""
    max_tokens: Annotated[int, Field(ge=8)] = 128

    def flops(self, size: Size, tokens: StepTexts) -> float:
        return PADDING * size.forward(tokens.cut(self.max_tokens).every())

    def build(self, work: Work) -> dict[str, float]:
        corpus, task = (read_texts(work.data[role]) for role in self.reads)
        reading = TokenizerSettings(self.max_tokens)
        parts = [embed(work.needs_parent(), texts, reading, work.runtime, work.cache) for texts in (corpus, task)]
        chosen, distance = nearest(parts[0], parts[1], self.k)
        figures = {"chosen": float(len(chosen)), "mean_distance": distance, "corpus": float(len(corpus))}
        work.report(Progress(work.name, 1, 1, "selections", 0.0, figures))
        write_jsonl(work.out / SELECTED_FILE, ({"text": corpus[i]} for i in chosen))
        return figures


def nearest(corpus: np.ndarray, task: np.ndarray, k: int) -> tuple[list[int], float]:
    """Sorted indices of the corpus points among the k nearest of any task point, and the mean cosine distance."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(k, len(corpus)), metric="cosine").fit(corpus)
    distances, found = index.kneighbors(task)
    return sorted({int(i) for i in found.ravel()}), float(distances.mean())
