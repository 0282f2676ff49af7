"""Maximum mean discrepancy: source and target features have the same mean in a space of many kernels.

Gretton et al., "A Kernel Two-Sample Test" (2012), equation 3, as a loss after Long et al., "Learning Transferable Features with
Deep Adaptation Networks" (2015), section 3: a mean of Gaussian kernels around the mean squared distance of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from transferline.methods.feature.alignment import Aligned

if TYPE_CHECKING:
    import torch

WIDTHS = (
    0.25,
    0.5,
    1.0,
    2.0,
    4.0,
)  # of the kernels, in units of the mean squared distance (Long et al. 2015, section 4.1)


class Mmd(Aligned):
    """Fine-tune on source and target with features of like distribution, by kernels."""

    source: ClassVar[str] = "Long et al. 2015, section 3"

    method: Literal["mmd"] = "mmd"

    def distance(self, source: torch.Tensor, target: torch.Tensor, extra: Any, done: float) -> torch.Tensor:
        return mmd(source, target)


def mmd(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared discrepancy (biased, so never below zero) of features (n, d), (m, d): 0 where both hold the same rows."""
    import torch

    both = torch.cat([source, target])
    squared = torch.cdist(both, both) ** 2
    scale = squared.detach().mean().clamp(min=1e-12)
    kernel = torch.stack([torch.exp(-squared / (width * scale)) for width in WIDTHS]).mean(dim=0)
    n = len(source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
