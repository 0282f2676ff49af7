"""Linear probe: freeze the encoder and fit a linear model on its features.

Alain & Bengio (2017). The features are the inputs of the head's last layer. The fitted weights are copied into that layer, so
the result is an ordinary model.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import PADDING, Prior, Size, StepTexts
from transferline.core.problem import TargetKind
from transferline.core.stage import Progress, Stage, StageKind, Work
from transferline.methods.parameter.linear import Solution, solve
from transferline.methods.parameter.tuning import open_tokenizer, save_tuned
from transferline.models.encodings import sharing
from transferline.models.heads import Pooling, output_layer
from transferline.models.tokenization import TokenizerSettings, Truncation
from transferline.targets import Target, target_of
from transferline.targets.example_features import features_of
from transferline.targets.example_weights import weights_of
from transferline.targets.target import Examples
from transferline.targets.tokens import Tokens


class Probe(Stage):
    """Fit logistic regression (ridge regression for numbers) on frozen features."""

    kind: ClassVar[StageKind] = "tune"
    gpu: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    random: ClassVar[bool] = False
    source: ClassVar[str] = "Alain & Bengio 2017"
    prior: ClassVar[Prior] = Prior(frozen=True)
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression", "tokens")

    method: Literal["probe"] = "probe"
    Cs: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    """values of the inverse regularisation strength C to try; validation chooses"""
    max_tokens: Annotated[int, Field(ge=8)] = 128
    truncation: Truncation = "head"
    pooling: Pooling = "mean"

    def flops(self, size: Size, tokens: StepTexts) -> float:
        # the validation texts are read twice: to choose the strength, and to measure the result
        size, tokens = self.leaves(size, tokens), tokens.cut(self.max_tokens)
        return PADDING * (size.forward(tokens.every()) + size.forward(tokens["validation"]))

    def leaves(self, size: Size, tokens: StepTexts) -> Size:
        return size.mean_pooled() if self.pooling == "mean" and tokens.kind != "tokens" else size

    def build(self, work: Work) -> dict[str, float]:
        target = target_of(work.data["train"])
        model = target.load(work.needs_parent(), self.pooling, work.seed).eval()
        return self.fit(model, target, work)

    def fit(self, model: Any, target: Target, work: Work) -> dict[str, float]:
        """Fit the last layer of a model with the target's head, and save the model to `work.out`. Returns validation metrics."""
        model.to(work.runtime.device)
        reading = TokenizerSettings(self.max_tokens, self.truncation)
        tokenizer = open_tokenizer(target, work.needs_parent(), reading)
        examples, validation = (target.examples(work.data[s], tokenizer, reading) for s in ("train", "validation"))
        with sharing():  # only the last layer changes from here on, so cached features stay valid
            solution = best_head(model, target, examples, validation, self.Cs, work)
            install(model, solution)
            figures = save_tuned(model, tokenizer, target, validation, reading=reading, out=work.out)
        return {**figures, "C": solution.C}


def best_head(
    model: Any,
    target: Target,
    train: Examples,
    validation: Examples,
    Cs: tuple[float, ...],
    work: Work | None = None,
) -> Solution:
    """Fit the model's last layer on its features for each strength C, and return the best on validation."""

    def tell(number: int, C: float, score: float) -> None:
        if work is not None:
            figures = {"validation_accuracy": score, "C": C}
            work.report(Progress(work.name, number, len(Cs), "fits", 0.0, figures))

    cache = work.cache if work is not None else None  # of training rows only: label budgets share them
    sides = [
        (features_of(model, target, train, cache), truth_of(target, train)),
        (target.features(model, validation), truth_of(target, validation)),
    ]
    has_bias = output_layer(model).bias is not None
    weights = weights_of(train.records)
    if weights is not None and isinstance(target, Tokens):
        weights = np.repeat(weights, target.words_of(train))  # tagging fits one row per word
    return solve(
        target.name, sides[0], sides[1], len(target.labels), Cs=Cs, tell=tell, intercept=has_bias, weights=weights
    )


def truth_of(target: Target, examples: Examples) -> np.ndarray:
    """Labels to fit; for tagging, the tags of words that were not truncated."""
    return target.tags_of_words(examples) if isinstance(target, Tokens) else examples.y_true


def install(model: Any, solution: Solution) -> None:
    """Copy a fitted solution into the model's last layer."""
    import torch

    layer = output_layer(model)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(solution.weights).to(layer.weight.dtype))
        if layer.bias is not None:  # the classification heads of decoders have no bias
            layer.bias.copy_(torch.from_numpy(solution.bias).to(layer.bias.dtype))
