"""CORAL: align the covariance of source features with the target's, then fit a linear model on both.

Sun, Feng & Saenko, "Return of Frustratingly Easy Domain Adaptation" (2016), algorithm 1: whiten the source features, then
re-colour them with the target's covariance. Features are centred on each side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import Prior
from transferline.core.problem import ALIGNING, Need, TargetKind
from transferline.core.stage import Work
from transferline.methods.feature.source_features import Meeting, SourceFeatures, Space
from transferline.models.tokenization import TokenizerSettings
from transferline.targets import Target


class Coral(Meeting):
    """Fit a linear model on frozen features, the sources' aligned with the target's mean and covariance."""

    source: ClassVar[str] = "Sun et al. 2016, algorithm 1"
    needs: ClassVar[tuple[Need, ...]] = ALIGNING
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")
    prior: ClassVar[Prior] = Prior(frozen=True, source_probe="coral", source_share=1.0)

    method: Literal["coral"] = "coral"  # type: ignore[assignment]
    ridge: Annotated[float, Field(gt=0)] = 0.1
    """ridge added to both covariances, in units of the mean variance of the features"""
    align: Literal["covariance", "nothing"] = "covariance"
    """nothing: use source features unchanged (the paper's "no adaptation")"""

    def source_rows(
        self, model: Any, target: Target, tokenizer: Any, reading: TokenizerSettings, work: Work
    ) -> list[SourceFeatures]:
        roles = self.roles()[len(self.reads) :]
        parts = [target.examples(work.data[role], tokenizer, reading) for role in roles]
        return [SourceFeatures(target.features(model, part), part.y_true) for part in parts]

    def spaces(self, source_rows: Sequence[SourceFeatures], own: SourceFeatures) -> list[Space]:
        if self.align == "nothing":
            return [Space([one.features for one in source_rows])]
        return [Space([coral(one.features, own.features, self.ridge) for one in source_rows])]


def coral(source: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    """Align source features (n, d) with target features (m, d): same mean and, up to the ridge, same covariance."""
    scale = float(np.mean([side.var(axis=0).mean() for side in (source, target)])) or 1.0
    covariances = [np.cov(side, rowvar=False) + ridge * scale * np.eye(side.shape[1]) for side in (source, target)]
    mapping = power(covariances[0], -0.5) @ power(covariances[1], 0.5)
    return (source - source.mean(axis=0)) @ mapping + target.mean(axis=0)


def power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """Power of a symmetric positive definite matrix, by its eigenvalues."""
    values, vectors = np.linalg.eigh(np.atleast_2d(symmetric))
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
