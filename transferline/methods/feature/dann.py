"""DANN: domain-adversarial training, for features that do not reveal the domain.

Ganin et al., "Domain-Adversarial Training of Neural Networks" (2016), section 4: a domain classifier is trained on the features,
and its gradient is reversed before it reaches the encoder. The factor of the reversed gradient grows from 0 to 1 as
2 / (1 + exp(-10 p)) - 1 over training (section 5.2.2), because the classifier's gradients are noise at the start.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.methods.feature.alignment import Aligned

if TYPE_CHECKING:
    import torch


class Dann(Aligned):
    """Fine-tune on source and target against a domain classifier."""

    source: ClassVar[str] = "Ganin et al. 2016, section 4"

    method: Literal["dann"] = "dann"
    hidden: Annotated[int, Field(ge=1)] = 100
    """hidden width of the domain classifier"""

    def extra(self, width: int) -> Any:
        import torch

        layers = torch.nn.Linear(width, self.hidden), torch.nn.ReLU(), torch.nn.Linear(self.hidden, 2)
        return torch.nn.Sequential(*layers)

    def distance(self, source: torch.Tensor, target: torch.Tensor, extra: Any, done: float) -> torch.Tensor:
        import torch

        features = reversed_gradient(torch.cat([source, target]), reversal(done))
        domain = torch.tensor([0] * len(source) + [1] * len(target), device=source.device)
        # weights by domain: both count the same in a batch with unequal numbers of examples
        share = torch.tensor([1 / len(source), 1 / len(target)], device=source.device)
        return torch.nn.functional.cross_entropy(extra(features), domain, weight=share)


def reversal(done: float) -> float:
    """Factor of the reversed gradient, from the share of training steps done."""
    return 2 / (1 + math.exp(-10 * done)) - 1


def reversed_gradient(features: torch.Tensor, C: float) -> torch.Tensor:
    """Return the features unchanged, and multiply their gradient by -strength in the backward pass."""
    return features.detach() * (1 + C) - features * C
