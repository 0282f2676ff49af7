"""Feature extraction: the encoder stands still, and a logistic regression learns on what it says.

The linear probe of Alain & Bengio (2017) on the features that the head's last layer receives. It is convex: no seed, no
schedule, one solution. Its strength of regularisation is chosen on validation. The solution is written back into the head, so that
the result is an ordinary classifier.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transfer.parameter.classification import Labelled, labels_of, load_splits, predict_logits, save_classifier
from transfer.parameter.heads import Pooling, load_classifier, output_layer
from transfer.problem import Transfer
from transfer.stage import Kind, Progress, Stage, Work


class Probe(Stage):
    """Frozen features and a logistic regression."""

    kind: ClassVar[Kind] = "tune"
    gpu: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    transfer: ClassVar[Transfer] = "parameter"
    random: ClassVar[bool] = False

    method: Literal["probe"] = "probe"
    strengths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    """inverse regularisation strengths, of which validation chooses"""
    max_tokens: Annotated[int, Field(ge=8)] = 128
    pooling: Pooling = "mean"

    def build(self, work: Work) -> dict[str, float]:
        labels = labels_of(work.data["train"])
        model = load_classifier(work.needs_parent(), labels, self.pooling, work.seed).eval()
        model.to(work.runtime.device)
        tokenizer, train, validation = load_splits(work, labels, self.max_tokens)
        strength, weights, bias = self._solve(model, train, validation, work)
        _install(model, weights, bias)
        return {**save_classifier(model, tokenizer, validation, work.out), "strength": strength}

    def _solve(
        self, encoder: Any, train: Labelled, validation: Labelled, work: Work
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """The best strength on validation (ties: the more regularised) with its weights (labels, width) and bias."""
        from sklearn.linear_model import LogisticRegression

        learnt, held_out = head_features(encoder, train), head_features(encoder, validation)
        mean = learnt.mean(axis=0)
        scale = float(np.sqrt(learnt.var(axis=0).mean())) or 1.0
        best: tuple[float, float, Any] | None = None
        for number, strength in enumerate(sorted(self.strengths), start=1):
            model = LogisticRegression(C=strength, max_iter=5000)
            model.fit((learnt - mean) / scale, train.labels)
            score = float(model.score((held_out - mean) / scale, validation.labels))
            if best is None or score > best[0]:
                best = (score, strength, model)
            done = {"validation_accuracy": score, "strength": strength}
            work.report(Progress(work.name, number, len(self.strengths), "fits", 0.0, done))
        assert best is not None
        weights, bias = best[2].coef_ / scale, best[2].intercept_
        if len(weights) == 1:  # two labels: one row of log odds; as two outputs, half of it each way
            weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        return best[1], weights, bias - weights @ mean


def head_features(model: Any, examples: Labelled) -> np.ndarray:
    """What the last linear layer receives for each example, fp64 of shape (examples, width)."""
    with caught_features(model) as caught:
        predict_logits(model, examples)
    order = sorted(range(len(examples.lengths)), key=lambda i: (examples.lengths[i], i))
    features = np.concatenate([part.reshape(-1, part.shape[-1]) for part in caught]).astype(np.float64)
    restored = np.empty_like(features)
    restored[order] = features
    return restored


@contextmanager
def caught_features(model: Any) -> Iterator[list[np.ndarray]]:
    """A list that collects, batch by batch, what the model's last linear layer receives."""
    caught: list[np.ndarray] = []
    hook = output_layer(model).register_forward_pre_hook(lambda _, args: caught.append(args[0].float().cpu().numpy()))
    try:
        yield caught
    finally:
        hook.remove()


def _install(model: Any, weights: np.ndarray, bias: np.ndarray) -> None:
    import torch

    layer = output_layer(model)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights).to(layer.weight.dtype))
        layer.bias.copy_(torch.from_numpy(bias).to(layer.bias.dtype))
