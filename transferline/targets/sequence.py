"""Kinds with one output per text: a sequence classification head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from transferline.evaluation.predictions import PREDICTIONS, Predictions
from transferline.models.heads import Pooling, load_classifier
from transferline.models.weights import open_tuned
from transferline.targets.target import Examples, Target, forward

if TYPE_CHECKING:
    import torch

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]


class SequenceTarget(Target):
    """One answer a text, or a pair of texts."""

    problem: ClassVar[Problem]

    def load(self, folder: Path, pooling: Pooling, seed: int, pretrained: bool = True) -> Any:
        return load_classifier(folder, self.labels, pooling, seed, pretrained, self.problem)

    def open(self, folder: Path) -> Any:
        model = open_tuned("AutoModelForSequenceClassification", folder)
        self.labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
        return model

    def answer(self, model: Any, examples: Examples) -> np.ndarray:
        return self.from_logits(forward(model, examples))

    @abstractmethod
    def from_logits(self, logits: np.ndarray) -> np.ndarray:
        """Answers of logits, shape (n, labels)."""

    def predictions(self, examples: Examples, outputs: np.ndarray) -> Predictions:
        return self.made(examples.records, np.asarray(examples.y_true), outputs)

    def made(self, records: Sequence[dict], y_true: np.ndarray, outputs: np.ndarray) -> Predictions:
        """Predictions of outputs (n, labels that the model knows). A label that it does not know has the probability zero."""
        if unknown := len(self.labels) - outputs.shape[-1] if outputs.ndim == 2 else 0:
            outputs = np.pad(outputs, ((0, 0), (0, unknown)))
        return PREDICTIONS[self.name](tuple(record["id"] for record in records), tuple(self.labels), y_true, outputs)

    def labelled(self, examples: Examples, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        import torch

        return {**examples.batch(indices), "labels": torch.from_numpy(self.wanted(examples)[list(indices)])}

    def wanted(self, examples: Examples) -> np.ndarray:
        """Labels in the form that the loss takes, (n,) or (n, labels)."""
        return examples.y_true
