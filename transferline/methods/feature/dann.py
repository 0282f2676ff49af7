"""Domain-adversarial training: features from which a classifier cannot tell source from target.

Ganin et al., "Domain-Adversarial Training of Neural Networks" (2016), section 4: a domain classifier learns on the features, and
its gradient reaches the encoder reversed. The reversal grows from 0 to 1 as 2 / (1 + exp(-10 p)) - 1 over the training (section
5.2.2), so that noise at the start does no harm.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.methods.feature.alignment import Aligned

if TYPE_CHECKING:
    import torch


class Dann(Aligned):
    """Fine-tune on source and target with features that hide the domain."""

    source: ClassVar[str] = "Ganin et al. 2016, section 4"

    method: Literal["dann"] = "dann"
    hidden: Annotated[int, Field(ge=1)] = 100
    """width of the domain classifier"""

    def extra(self, width: int) -> Any:
        import torch

        layers = torch.nn.Linear(width, self.hidden), torch.nn.ReLU(), torch.nn.Linear(self.hidden, 2)
        return torch.nn.Sequential(*layers)

    def distance(self, source: torch.Tensor, target: torch.Tensor, extra: Any, done: float) -> torch.Tensor:
        import torch

        features = reversed_gradient(torch.cat([source, target]), reversal(done))
        domain = torch.tensor([0] * len(source) + [1] * len(target), device=source.device)
        share = torch.tensor([1 / len(source), 1 / len(target)], device=source.device)
        return torch.nn.functional.cross_entropy(extra(features), domain, weight=share)


def reversal(done: float) -> float:
    """Strength of the reversed gradient when a share of the training is done."""
    return 2 / (1 + math.exp(-10 * done)) - 1


def reversed_gradient(features: torch.Tensor, C: float) -> torch.Tensor:
    """The features as they are; their gradient comes back times -strength."""
    return features.detach() * (1 + C) - features * C
