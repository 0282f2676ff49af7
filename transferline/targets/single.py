"""One label of several: classification of a text, or of a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.data.prepared_files import read_jsonl
from transferline.targets.sequence import SequenceTarget
from transferline.targets.target import Examples, forward


class SingleLabel(SequenceTarget):
    """Softmax over the labels of the training split, sorted."""

    name = "single-label"
    problem = "single_label_classification"

    @classmethod
    def learn(cls, train: Path) -> SingleLabel:
        return cls(sorted({record["label"] for record in read_jsonl(train)}))

    def admit(self, records: Sequence[dict]) -> None:
        self.labels += sorted({record["label"] for record in records} - set(self.labels))

    def truth_of(self, records: Sequence[dict]) -> np.ndarray:
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index[record["label"]] for record in records])

    def from_logits(self, logits: np.ndarray) -> np.ndarray:
        return softmax(logits)

    def measure(self, model: Any, examples: Examples) -> dict[str, float]:
        """Accuracy and cross entropy. `score` ranks by accuracy and breaks ties by the loss."""
        logits = forward(model, examples)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        loss = float(-log_p[np.arange(len(log_p)), examples.y_true].mean())
        accuracy = float((logits.argmax(axis=1) == examples.y_true).mean())
        return {"accuracy": accuracy, "loss": loss, "score": accuracy - 1e-6 * min(loss, 1e3)}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, shape (n, labels)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
