"""Base class of methods that fit one linear model on frozen source and target features.

The encoder is frozen. The fitted weights are copied into the head, so the result is an ordinary model.
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
    """Source examples: features (n, width), and labels (n, ...) with the target's label numbers."""

    features: np.ndarray
    y_true: np.ndarray


@dataclass(frozen=True)
class Space:
    """A common space of source and target: the sources' points in it, and the map of target features into it.

    The map takes a feature x to (x - middle) mapping, with `mapping` (width, k) and `middle` (width,). None is the identity.
    """

    points: Sequence[np.ndarray]
    mapping: np.ndarray | None = None
    middle: np.ndarray | None = None

    def bring(self, own: np.ndarray) -> np.ndarray:
        """Map target features (n, width) into the space."""
        return own if self.mapping is None else (own - self.middle) @ self.mapping

    def back(self, solution: Solution) -> Solution:
        """Express a linear model of the space as one on the target's original features."""
        if self.mapping is None:
            return solution
        weights = solution.weights @ self.mapping.T
        return Solution(solution.C, solution.score, weights, solution.bias - weights @ self.middle)


class Meeting(Probe):
    """Base class of methods that fit one linear model on source and target features in a common space."""

    transfer: ClassVar[Transfer] = "feature"

    source_tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """source tasks: targets of params.yaml whose examples are aligned with this target's"""
    target_labels: bool = True
    """false: use the target's texts for alignment only, without their labels (unsupervised domain adaptation)"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(f"{name}/train" for name in self.source_tasks))

    def alone(self) -> Stage:
        return Probe(**{name: getattr(self, name) for name in Probe.model_fields if name != "method"})

    @abstractmethod
    def source_rows(
        self, model: Any, target: Target, tokenizer: Any, reading: TokenizerSettings, work: Work
    ) -> list[SourceFeatures]:
        """Features and labels of each source."""

    @abstractmethod
    def spaces(self, source_rows: Sequence[SourceFeatures], own: SourceFeatures) -> Iterable[Space]:
        """The common spaces to try; validation chooses."""

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
            figures = save_tuned(model, tokenizer, target, held, reading=reading, out=work.out)
        return {**figures, "C": best.C, "borrowed": float(sum(len(one.y_true) for one in source_rows))}

    def _weights(self, source_rows: Sequence[SourceFeatures], own: Examples) -> np.ndarray | None:
        """Sample weights of all training rows (source rows weigh 1), or None if the target's rows have no weights."""
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
        return solve(
            target.name, learnt, held, len(target.labels), Cs=self.Cs, tell=tell, intercept=has_bias, weights=weights
        )
