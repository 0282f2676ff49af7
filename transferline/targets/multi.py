"""Any of several labels: each has a probability of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.data.prepared_files import read_jsonl
from transferline.targets.sequence import SequenceTarget
from transferline.targets.target import Examples, forward


class MultiLabel(SequenceTarget):
    """Independent sigmoids over the labels of the training split. A label is predicted at a probability of 0.5 or more."""

    name = "multi-label"
    problem = "multi_label_classification"

    @classmethod
    def learn(cls, train: Path) -> MultiLabel:
        return cls(sorted({label for record in read_jsonl(train) for label in record["label"]}))

    def admit(self, records: Sequence[dict]) -> None:
        self.labels += sorted({label for record in records for label in record["label"]} - set(self.labels))

    def truth_of(self, records: Sequence[dict]) -> np.ndarray:
        cells = [[label in record["label"] for label in self.labels] for record in records]
        return np.array(cells, dtype=bool).reshape(-1, len(self.labels))

    def wanted(self, examples: Examples) -> np.ndarray:
        return examples.y_true.astype(np.float32)

    def from_logits(self, logits: np.ndarray) -> np.ndarray:
        return sigmoid(logits)

    def measure(self, model: Any, examples: Examples) -> dict[str, float]:
        """Micro-F1 and binary cross entropy. `score` ranks by F1 and breaks ties by the loss."""
        logits = forward(model, examples).astype(np.float64)
        y_true = examples.y_true
        loss = float((np.logaddexp(0, logits) - logits * y_true).mean())
        said = logits >= 0
        f1 = 2 * float((said & y_true).sum()) / max(1, int(said.sum() + y_true.sum()))
        return {"micro_f1": f1, "loss": loss, "score": f1 - 1e-6 * min(loss, 1e3)}


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, each by itself."""
    return 1 / (1 + np.exp(-logits))
