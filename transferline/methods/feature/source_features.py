"""What the methods share that bring a source's features beside the target's and fit one linear model on both.

The encoder stands still; the solution is written into its head, so that the result is an ordinary model.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from transferline.core.problem import Transfer
from transferline.core.stage import Progress, Stage, Work
from transferline.methods.parameter.linear import Solution, solve
from transferline.methods.parameter.probe import Probe, install
from transferline.methods.parameter.tuning import open_tokenizer, save_tuned
from transferline.models.encodings import sharing
from transferline.models.heads import output_layer
from transferline.models.tokenization import TokenizerSettings
from transferline.targets import Target
from transferline.targets.example_weights import weights_of
from transferline.targets.target import Examples


@dataclass(frozen=True)
class SourceFeatures:
    """What a source lends: its features as the method sees them, (n, width), and its labels as the target numbers them."""

    features: np.ndarray
    y_true: np.ndarray


@dataclass(frozen=True)
class Space:
    """Where source and target meet: the sources' points there, and how the target's own features come there.

    `mapping` (width, k) and `middle` (width,) take a feature x to (x - middle) mapping; None: they are there already.
    """

    points: Sequence[np.ndarray]
    mapping: np.ndarray | None = None
    middle: np.ndarray | None = None

    def bring(self, own: np.ndarray) -> np.ndarray:
        return own if self.mapping is None else (own - self.middle) @ self.mapping

    def back(self, solution: Solution) -> Solution:
        """The same linear model on the target's own features."""
        if self.mapping is None:
            return solution
        weights = solution.weights @ self.mapping.T
        return Solution(solution.C, solution.score, weights, solution.bias - weights @ self.middle)


class Meeting(Probe):
    """Base of the methods that fit one linear model to source and target features in one space."""

    transfer: ClassVar[Transfer] = "feature"

    source_tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """targets of params.yaml whose examples are aligned with this one's"""
    target_labels: bool = True
    """off: the target's training labels are not learnt from, its texts only aligned with (unsupervised adaptation)"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(f"{name}/train" for name in self.source_tasks))

    def alone(self) -> Stage:
        return Probe(**{name: getattr(self, name) for name in Probe.model_fields if name != "method"})

    @abstractmethod
    def source_rows(
        self, model: Any, target: Target, tokenizer: Any, reading: TokenizerSettings, work: Work
    ) -> list[SourceFeatures]:
        """What each source lends."""

    @abstractmethod
    def spaces(self, source_rows: Sequence[SourceFeatures], own: SourceFeatures) -> Iterable[Space]:
        """Where they may meet; validation chooses."""

    def fit(self, model: Any, target: Target, work: Work) -> dict[str, float]:
        model.to(work.runtime.device)
        reading = TokenizerSettings(self.max_tokens, self.truncation)
        tokenizer = open_tokenizer(target, work.needs_parent(), reading)
        own, held = (target.examples(work.data[role], tokenizer, reading) for role in self.reads)
        with sharing():
            mine = SourceFeatures(target.features(model, own), own.y_true)
            source_rows = self.source_rows(model, target, tokenizer, reading, work)
            y_true = np.concatenate([one.y_true for one in (*source_rows, *([mine] if self.target_labels else []))])
            features, weights = target.features(model, held), self._weights(source_rows, own)
            best: Solution | None = None
            for space in self.spaces(source_rows, mine):
                sides = [*space.points, *([space.bring(mine.features)] if self.target_labels else [])]
                held_out = space.bring(features), held.y_true
                found = self._solve(model, target, (np.concatenate(sides), y_true), held_out, weights, work)
                if best is None or found.score > best.score:
                    best = space.back(found)
            assert best is not None
            install(model, best)
            figures = save_tuned(model, tokenizer, target, held, reading, work.out)
        return {**figures, "C": best.C, "borrowed": float(sum(len(one.y_true) for one in source_rows))}

    def _weights(self, source_rows: Sequence[SourceFeatures], own: Examples) -> np.ndarray | None:
        """Weights of all rows that are learnt from, where the target's own have any: the sources' weigh one."""
        mine = weights_of(own.records)
        if mine is None or not self.target_labels:
            return None
        return np.concatenate([np.ones(sum(len(one.y_true) for one in source_rows)), mine])

    def _solve(
        self, model: Any, target: Target, learnt: Any, held: Any, weights: np.ndarray | None, work: Work
    ) -> Solution:
        def tell(number: int, C: float, score: float) -> None:
            figures = {"validation_accuracy": score, "C": C}
            work.report(Progress(work.name, number, len(self.Cs), "fits", 0.0, figures))

        has_bias = output_layer(model).bias is not None
        return solve(target.name, learnt, held, len(target.labels), self.Cs, tell, has_bias, weights)
