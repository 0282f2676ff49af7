"""A number for a text, or for a pair of texts: ratings, similarity, complexity.

The head learns the number in units of its standard deviation in training, and the last layer is rescaled afterwards. So learning
rates that suit classification also suit a score from 1 to 100, and the served model predicts in the label's own units.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.data.prepared_files import read_jsonl
from transferline.evaluation.metrics import pearson
from transferline.models.heads import Pooling, output_layer
from transferline.targets.sequence import SequenceTarget
from transferline.targets.target import Examples, forward

LABEL = "score"


class Regression(SequenceTarget):
    """Mean squared error on a number. `middle` and `std` are mean and standard deviation in training, until `settle`."""

    name = "regression"
    problem = "regression"

    def __init__(self, labels: Sequence[str] = (LABEL,), middle: float = 0.0, std: float = 1.0) -> None:
        super().__init__(labels)
        self.middle, self.std = middle, std

    @classmethod
    def learn(cls, train: Path) -> Regression:
        numbers = np.array([record["label"] for record in read_jsonl(train)], dtype=float)
        return cls((LABEL,), float(numbers.mean()), float(numbers.std()) or 1.0)

    def load(self, folder: Path, pooling: Pooling, seed: int, pretrained: bool = True) -> Any:
        model = super().load(folder, pooling, seed, pretrained)
        if output_layer(model).bias is None:  # decoders' heads have none, and so no place for the middle
            self.middle = 0.0
        return model

    def truth_of(self, records: Sequence[dict]) -> np.ndarray:
        return np.array([record["label"] for record in records], dtype=float)

    def wanted(self, examples: Examples) -> np.ndarray:
        return ((examples.y_true - self.middle) / self.std).astype(np.float32)

    def from_logits(self, logits: np.ndarray) -> np.ndarray:
        return logits[:, 0].astype(np.float64) * self.std + self.middle

    def measure(self, model: Any, examples: Examples) -> dict[str, float]:
        """Pearson's correlation, root mean squared error (in the label's units) and R2, by which `score` ranks."""
        said = self.from_logits(forward(model, examples))
        error = float(((said - examples.y_true) ** 2).mean())
        r2 = 1 - error / max(float(examples.y_true.var()), 1e-12)
        return {"pearson": pearson(examples.y_true, said), "rmse": error**0.5, "r2": r2, "score": r2}

    def settle(self, model: Any) -> None:
        """Fold the units into the last layer. The model predicts in the label's units afterwards."""
        import torch

        layer = output_layer(model)
        with torch.no_grad():
            layer.weight.mul_(self.std)
            if layer.bias is not None:
                layer.bias.mul_(self.std).add_(self.middle)
        self.middle, self.std = 0.0, 1.0
