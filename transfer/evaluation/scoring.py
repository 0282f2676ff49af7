"""A tuned model on texts that nobody has labelled: its probabilities, and the features that its last layer receives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfer.evaluation.predict import softmax
from transfer.parameter.probe import caught_features
from transfer.runtime import Runtime, exactly


@dataclass(frozen=True)
class Scored:
    """n texts as one model sees them: label names, probabilities (n, labels), features (n, width)."""

    labels: tuple[str, ...]
    probabilities: np.ndarray
    features: np.ndarray

    @property
    def predicted(self) -> list[str]:
        return [self.labels[i] for i in self.probabilities.argmax(axis=1)]


def score_texts(model: Path, texts: Sequence[str], runtime: Runtime, size: int = 64) -> Scored:
    """Score texts with a checkpoint's folder, in fp32, as a served model would."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, use_safetensors=True, trust_remote_code=False)
    network.eval().to(runtime.device)
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))  # like lengths together: little padding
    logits = []
    with exactly(), torch.inference_mode(), caught_features(network) as caught:
        for start in range(0, len(order), size):
            some = [texts[i] for i in order[start : start + size]]
            batch = tokenizer(some, truncation=True, padding=True, return_tensors="pt").to(network.device)
            logits.append(network(**batch).logits.float().cpu().numpy())
    width = network.num_labels
    stacked = np.concatenate(logits) if logits else np.zeros((0, width), np.float32)
    features = np.concatenate([f.reshape(-1, f.shape[-1]) for f in caught]) if caught else np.zeros((0, 1), np.float32)
    back = np.argsort(order)
    names = tuple(network.config.id2label[i] for i in range(width))
    return Scored(names, softmax(stacked)[back], features[back])
