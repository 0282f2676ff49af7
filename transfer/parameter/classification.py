"""Labelled texts as the training loop wants them: shared by every method that tunes a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.corpora.files import read_jsonl
from transfer.stage import Work

if TYPE_CHECKING:
    import torch


class Labelled:
    """Tokenised texts with label indices."""

    def __init__(self, path: Path, tokenizer: Any, labels: Sequence[str], max_tokens: int) -> None:
        records = read_jsonl(path)
        index = {label: i for i, label in enumerate(labels)}
        self.texts = [record["text"] for record in records]
        self.labels = np.array([index[record["label"]] for record in records])
        self.inputs = tokenizer(self.texts, truncation=True, max_length=max_tokens)
        self.lengths: list[int] = [len(ids) for ids in self.inputs["input_ids"]]
        self.tokenizer = tokenizer

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """Padded inputs of some examples, without labels."""
        chosen = {name: [values[i] for i in indices] for name, values in self.inputs.items()}
        return dict(self.tokenizer.pad(chosen, return_tensors="pt"))


def load_splits(work: Work, labels: Sequence[str], max_tokens: int) -> tuple[Any, Labelled, Labelled]:
    """The parent's tokenizer, which truncates at `max_tokens`, and with it the training and validation examples."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(work.needs_parent(), model_max_length=max_tokens)
    train, validation = (Labelled(work.data[split], tokenizer, labels, max_tokens) for split in ("train", "validation"))
    return tokenizer, train, validation


def save_classifier(model: Any, tokenizer: Any, validation: Labelled, out: Path) -> dict[str, float]:
    """Save a tuned classifier; returns its figures on validation, `score` among them."""
    figures = measure(model, validation)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return {"validation_accuracy": figures["accuracy"], "validation_loss": figures["loss"], "score": figures["score"]}


def labels_of(path: Path) -> list[str]:
    """The labels of a training split, sorted: the order of a model's outputs."""
    return sorted({record["label"] for record in read_jsonl(path)})


class ClassificationLearner:
    """A classifier, its training examples, and the validation examples that decide when to stop."""

    def __init__(self, model: Any, train: Labelled, validation: Labelled, head: set[int], head_rate: float) -> None:
        self.model, self.train, self.validation = model, train, validation
        self.head, self.head_rate = head, head_rate
        self.lengths = train.lengths

    def groups(self, rate: float) -> list[dict]:
        """The encoder at `rate`, the new head at its own, higher one."""
        learning = [p for p in self.model.parameters() if p.requires_grad]
        encoder = [p for p in learning if id(p) not in self.head]
        head = [p for p in learning if id(p) in self.head]
        return [
            group
            for group in ({"params": encoder, "lr": rate}, {"params": head, "lr": self.head_rate})
            if group["params"]
        ]

    def before_step(self, step: int, steps: int) -> None:
        """What learns, learns from the first step to the last."""

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        return {**self.train.batch(indices), "labels": torch.from_numpy(self.train.labels[list(indices)])}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.model(**batch).loss

    def validate(self) -> dict[str, float]:
        return measure(self.model, self.validation)


def measure(model: Any, examples: Labelled) -> dict[str, float]:
    """Accuracy and cross entropy; `score` ranks by accuracy and breaks ties by the loss."""
    logits = predict_logits(model, examples)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = float(-log_p[np.arange(len(log_p)), examples.labels].mean())
    accuracy = float((logits.argmax(axis=1) == examples.labels).mean())
    return {"accuracy": accuracy, "loss": loss, "score": accuracy - 1e-6 * min(loss, 1e3)}


def predict_logits(model: Any, examples: Labelled, size: int = 64) -> np.ndarray:
    """Logits in fp32, shape (examples, labels), in the order of the examples whatever their lengths."""
    import torch

    order = sorted(range(len(examples.lengths)), key=lambda i: (examples.lengths[i], i))
    logits = np.zeros((len(order), model.num_labels), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = {name: value.to(model.device) for name, value in examples.batch(chosen).items()}
            logits[chosen] = model(**batch).logits.float().cpu().numpy()
    return logits
