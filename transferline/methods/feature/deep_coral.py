"""Deep CORAL: add the distance between the covariances of source and target features to the loss.

Sun & Saenko, "Deep CORAL" (2016), section 3.1, equation 1: |C_s - C_t|^2 / (4 d^2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from transferline.methods.feature.alignment import Aligned

if TYPE_CHECKING:
    import torch


class DeepCoral(Aligned):
    """Fine-tune on source and target with a penalty on different feature covariances."""

    source: ClassVar[str] = "Sun & Saenko 2016, section 3.1"

    method: Literal["deep-coral"] = "deep-coral"

    def distance(self, source: torch.Tensor, target: torch.Tensor, extra: Any, done: float) -> torch.Tensor:
        return coral_loss(source, target)


def coral_loss(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius distance of the covariances of features (n, d) and (m, d), divided by 4 d^2; 0 if n or m is below 2."""
    import torch

    if min(len(source), len(target)) < 2:  # the last batch of an epoch may be too small for a covariance
        return source.sum() * 0.0
    width = source.shape[1]
    return ((torch.cov(source.T) - torch.cov(target.T)) ** 2).sum() / (4 * width**2)
