"""Deep CORAL: the distance between the covariances of source and target features is part of the loss.

Sun & Saenko, "Deep CORAL" (2016), section 3.1, equation 1: |C_s - C_t|^2 / (4 d^2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from transferline.methods.feature.alignment import Aligned

if TYPE_CHECKING:
    import torch


class DeepCoral(Aligned):
    """Fine-tune on source and target with features of like covariance."""

    source: ClassVar[str] = "Sun & Saenko 2016, section 3.1"

    method: Literal["deep-coral"] = "deep-coral"

    def distance(self, source: torch.Tensor, target: torch.Tensor, extra: Any, done: float) -> torch.Tensor:
        return coral_loss(source, target)


def coral_loss(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius distance of the covariances over 4 d^2; features (n, d), (m, d), two rows or more each."""
    import torch

    if min(len(source), len(target)) < 2:  # a last, small batch has no covariance
        return source.sum() * 0.0
    width = source.shape[1]
    return ((torch.cov(source.T) - torch.cov(target.T)) ** 2).sum() / (4 * width**2)
