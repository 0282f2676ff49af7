"""CORAL: the source's features are re-coloured so that their covariance is the target's, then a linear model learns on them.

Sun, Feng & Saenko, "Return of Frustratingly Easy Domain Adaptation" (2016), algorithm 1: whiten the source, colour it like the
target. Features are centred on either side. The encoder stands still; the solution is written into its head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transfer.corpora.declared import Kind as TargetKind
from transfer.encodings import sharing
from transfer.heads import output_layer
from transfer.parameter.linear import Solution, solve
from transfer.parameter.probe import Probe, install
from transfer.parameter.tuning import open_tokenizer, save_tuned
from transfer.problem import ALIGNING, Need, Transfer
from transfer.reading import Reading
from transfer.stage import Progress, Stage, Work
from transfer.targets import Target
from transfer.targets.target import Examples
from transfer.targets.weighing import weights_of


class Coral(Probe):
    """Frozen features of the sources, aligned with the target's to second order, and a linear model."""

    source: ClassVar[str] = "Sun et al. 2016, algorithm 1"
    transfer: ClassVar[Transfer] = "feature"
    needs: ClassVar[tuple[Need, ...]] = ALIGNING
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")

    method: Literal["coral"] = "coral"  # type: ignore[assignment]
    lenders: Annotated[tuple[str, ...], Field(min_length=1)]
    """targets of params.yaml whose examples are aligned with this one's"""
    target_labels: bool = True
    """off: the target's training labels are not learnt from, its texts only aligned with (unsupervised adaptation)"""
    ridge: Annotated[float, Field(gt=0)] = 0.1
    """added to both covariances, in units of the features' mean variance"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(f"{name}/train" for name in self.lenders))

    def alone(self) -> Stage:
        return Probe(**{name: getattr(self, name) for name in Probe.model_fields if name != "method"})

    def fit(self, model: Any, target: Target, work: Work) -> dict[str, float]:
        model.to(work.runtime.device)
        reading = Reading(self.max_tokens, self.truncation)
        tokenizer = open_tokenizer(target, work.needs_parent(), reading)
        own, held, *lent = (target.examples(work.data[role], tokenizer, reading) for role in self.roles())
        with sharing():
            mine, validation = target.features(model, own), target.features(model, held)
            aligned = [coral(target.features(model, part), mine, self.ridge) for part in lent]
            sides = [*aligned, *([mine] if self.target_labels else [])]
            truths = [part.truth for part in (*lent, *([own] if self.target_labels else []))]
            learnt = np.concatenate(sides), np.concatenate(truths)
            weights = self._weights(lent, own)
            solution = self._solve(model, target, learnt, (validation, held), weights, work)
            install(model, solution)
            figures = save_tuned(model, tokenizer, target, held, reading, work.out)
        return {**figures, "strength": solution.strength, "borrowed": float(sum(map(len, lent)))}

    def _weights(self, lent: Sequence[Examples], own: Examples) -> np.ndarray | None:
        """Weights of all rows that are learnt from, where the target's own have any: the sources' weigh one."""
        mine = weights_of(own.records)
        if mine is None or not self.target_labels:
            return None
        return np.concatenate([np.ones(sum(map(len, lent))), mine])

    def _solve(
        self, model: Any, target: Target, learnt: Any, held: Any, weights: np.ndarray | None, work: Work
    ) -> Solution:
        def tell(number: int, strength: float, score: float) -> None:
            figures = {"validation_accuracy": score, "strength": strength}
            work.report(Progress(work.name, number, len(self.strengths), "fits", 0.0, figures))

        has_bias = output_layer(model).bias is not None
        held_out = (held[0], held[1].truth)
        return solve(target.name, learnt, held_out, len(target.labels), self.strengths, tell, has_bias, weights)


def coral(source: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    """Source features (n, d) with the mean and, up to the ridge, the covariance of the target's (m, d)."""
    scale = float(np.mean([side.var(axis=0).mean() for side in (source, target)])) or 1.0
    covariances = [np.cov(side, rowvar=False) + ridge * scale * np.eye(side.shape[1]) for side in (source, target)]
    mapping = power(covariances[0], -0.5) @ power(covariances[1], 0.5)
    return (source - source.mean(axis=0)) @ mapping + target.mean(axis=0)


def power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(np.atleast_2d(symmetric))
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
