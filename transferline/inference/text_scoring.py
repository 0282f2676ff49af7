"""Predictions and features of a tuned model for unlabelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.problem import TargetKind
from transferline.core.runtime import Runtime, exactly
from transferline.data.rows import Rows
from transferline.evaluation.predictions import PREDICTIONS, Predictions
from transferline.models.tokenization import load_tokenizer, tokenizer_settings_of
from transferline.targets import TARGETS, kind_of_model
from transferline.targets.target import Examples


@dataclass(frozen=True)
class Scored:
    """n texts as one model sees them: kind, label names, answers (as in that kind's predictions), features (n, width)."""

    kind: TargetKind
    labels: tuple[str, ...]
    outputs: np.ndarray
    features: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Probabilities of shape (n, labels), for kinds with labels only."""
        return self.outputs

    @cached_property
    def _made(self) -> Predictions:
        ids = tuple(str(i) for i in range(len(self.outputs)))
        return PREDICTIONS[self.kind](ids, self.labels, self.outputs, self.outputs)

    @property
    def predicted(self) -> list[Any]:
        """The decision for each text, as a person reads it."""
        said = self._made.predicted
        if self.kind == "single-label":
            return [self.labels[i] for i in said]
        if self.kind == "multi-label":
            return ["; ".join(self.labels[i] for i in np.flatnonzero(row)) for row in said]
        return [" ".join(row) for row in said] if self.kind == "tokens" else said.tolist()

    def columns(self) -> dict[str, np.ndarray]:
        """A probability for each label, where there are labels."""
        named = self.kind in ("single-label", "multi-label")
        return {f"p:{label}": self.outputs[:, i] for i, label in enumerate(self.labels)} if named else {}

    def shares(self, part: slice) -> np.ndarray:
        """Count each predicted label in a part of the texts. Kinds without labels get one total count."""
        if self.kind == "single-label":
            return np.bincount(self._made.predicted[part], minlength=len(self.labels))
        if self.kind == "multi-label":
            return self._made.predicted[part].sum(axis=0)
        return np.array([len(self.outputs[part])])


class Scorer:
    """A loaded model that scores records in fp32, as the evaluation does. Load it once, and score many times."""

    def __init__(self, model: Path, runtime: Runtime) -> None:
        self.model, self.runtime = model, runtime
        self.kind = kind_of_model(model)
        self.target = TARGETS[self.kind]()
        self.network = self.target.open(model).to(runtime.device)
        self.tokenizer = load_tokenizer(model)
        self.reading = tokenizer_settings_of(model, self.tokenizer)

    def score(self, records: Sequence[dict[str, Any]], look: bool = True) -> Scored:
        """Score records (`text`, and `pair` or `words` where the kind reads them). `look` adds the features."""
        wanted = [_complete(self.kind, record, self.tokenizer) for record in records]
        with exactly():
            examples = self.target.unlabelled(wanted, self.tokenizer, self.reading)
            outputs = self.target.answer(self.network, examples)
            features = self._features(examples) if look else np.zeros((0, 1))
        return Scored(self.kind, tuple(self.target.labels), outputs, features)

    def _features(self, examples: Examples) -> np.ndarray:
        """Features that the head reads, (n, width). For tagging and generation, mean-pooled features of the last layer."""
        if self.kind not in ("tokens", "generation"):
            return self.target.features(self.network, examples)
        from transferline.models.embeddings import embed

        return embed(self.model, [record["text"] for record in examples.records], self.reading, self.runtime)


def score_texts(model: Path, records: Sequence[dict[str, Any]], runtime: Runtime, look: bool = True) -> Scored:
    """Score records with a checkpoint's folder, once."""
    return Scorer(model, runtime).score(records, look)


def _complete(kind: TargetKind, record: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """Split a text into words for tagging; for a row of numbers, add the width of its matrix."""
    if isinstance(tokenizer, Rows):
        return {**record, "features": tokenizer.width}
    return {**record, "words": record["text"].split()} if kind == "tokens" and "words" not in record else record
