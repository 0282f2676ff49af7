"""MMD: add the maximum mean discrepancy between source and target features to the loss.

Gretton et al., "A Kernel Two-Sample Test" (2012), equation 3, used as a loss by Long et al., "Learning Transferable Features with
Deep Adaptation Networks" (2015), section 3. The kernel is a mean of Gaussian kernels, with multiples of the mean squared
distance in the batch as their widths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from transferline.methods.feature.alignment import Aligned

if TYPE_CHECKING:
    import torch

# kernel widths, in units of the mean squared distance (Long et al. 2015, section 4.1)
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


class Mmd(Aligned):
    """Fine-tune on source and target with a penalty on the maximum mean discrepancy of their features."""

    source: ClassVar[str] = "Long et al. 2015, section 3"

    method: Literal["mmd"] = "mmd"

    def distance(self, source: torch.Tensor, target: torch.Tensor, extra: Any, done: float) -> torch.Tensor:
        return mmd(source, target)


def mmd(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared discrepancy of features (n, d) and (m, d), by the biased estimator, which is never negative."""
    import torch

    both = torch.cat([source, target])
    squared = torch.cdist(both, both) ** 2
    # detached: otherwise training could lower the loss by changing the kernel width
    scale = squared.detach().mean().clamp(min=1e-12)
    kernel = torch.stack([torch.exp(-squared / (width * scale)) for width in WIDTHS]).mean(dim=0)
    n = len(source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
