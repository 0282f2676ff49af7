"""Standardise the columns of a feature matrix: mean zero and standard deviation one over the target's training rows.

A linear model that regularises all columns with one strength assumes standardised columns (Hastie, Tibshirani & Friedman, "The
Elements of Statistical Learning", 2009, section 3.4.1).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from transferline.core.problem import Ability, Transfer
from transferline.core.stage import Progress, Stage, StageKind, Work
from transferline.data.feature_matrix import sparse
from transferline.data.prepared_files import read_jsonl
from transferline.data.rows import units
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model


class Standardise(Stage):
    """Scale columns to mean zero and standard deviation one over the training rows."""

    kind: ClassVar[StageKind] = "adapt"
    reads: ClassVar[tuple[str, ...]] = ("train",)
    random: ClassVar[bool] = False
    transfer: ClassVar[Transfer] = "feature"
    source: ClassVar[str] = "Hastie et al. 2009, section 3.4.1"
    ability: ClassVar[Ability | None] = "rows"

    method: Literal["standardise"] = "standardise"

    def build(self, work: Work) -> dict[str, float]:
        import torch

        parent = work.needs_parent()
        tokenizer = load_tokenizer(parent)
        model, _ = load_model("AutoModel", parent, work.seed)
        rows = sparse([record["text"] for record in read_jsonl(work.data["train"])], tokenizer.width)
        middle, spread = units(rows.toarray())
        model.middle.copy_(torch.from_numpy(middle))
        model.spread.copy_(torch.from_numpy(spread))
        model.save_pretrained(work.out)
        tokenizer.save_pretrained(work.out)
        figures = {"rows": float(rows.shape[0]), "columns": float(tokenizer.width)}
        work.report(Progress(work.name, 1, 1, "matrices", 0.0, figures))
        return figures
