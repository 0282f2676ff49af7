"""What the one loop trains, and its schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from transferline.training.gradients import accumulate

if TYPE_CHECKING:
    import torch

SLANT = 32  # the slanted triangle's ratio of highest to lowest rate (Howard & Ruder 2018, section 3.2)


class Schedule(BaseModel):
    """How long and how fast a method learns. Part of its identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    """peak learning rate"""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of the steps over which the rate rises; it then falls in a line"""
    shape: Literal["linear", "slanted"] = "linear"
    """linear: from and to zero; slanted: from and to a 32nd of the peak (ULMFiT's slanted triangle)"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Annotated[float, Field(gt=0)] = 1.0
    """largest norm of the gradient"""

    def factor(self, step: int, steps: int) -> float:
        """Share of the peak rate at 0-based `step` of `steps`."""
        rising = max(1, round(self.warmup * steps))
        share = (step + 1) / rising if step < rising else max(0.0, (steps - step) / max(1, steps - rising))
        return share if self.shape == "linear" else (1 + share * (SLANT - 1)) / SLANT


class Learner(ABC):
    """What the loop trains: a model, examples, and their loss."""

    model: Any  # a torch.nn.Module
    lengths: list[int]  # tokens of each example
    whole = False  # whether every process computes the whole batch, where several train together
    shards = False  # whether its model's layers may lie in shards over them

    @abstractmethod
    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        """A batch of tensors, a function of its arguments and the seed alone."""

    @abstractmethod
    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean loss of a batch, a scalar."""

    def groups(self, rate: float) -> list[dict]:
        """Parameter groups for the optimiser, each with its own peak `lr`."""
        return [{"params": list(self.model.parameters()), "lr": rate}]

    def units(self, indices: Sequence[int], epoch: int) -> float:
        """What the mean loss of examples is a mean over, by which parts of a batch are weighed: examples."""
        return float(len(indices))

    def tokens(self, indices: Sequence[int]) -> int:
        """Tokens that a step on these examples reads."""
        return sum(self.lengths[i] for i in indices)

    def accumulate_gradients(
        self, accelerator: Any, indices: Sequence[int], epoch: int, micro: int | None
    ) -> torch.Tensor | float:
        """Leave the gradients of a step in the parameters; returns its mean loss, a scalar."""
        return accumulate(accelerator, self, indices, epoch, micro, whole=self.whole)

    def before_step(self, step: int, steps: int) -> None:
        """Chance to freeze or unfreeze; must depend on its arguments alone."""

    def after_step(self, rate: float) -> None:
        """Chance to move weights once more; `rate` is the present rate of the first group."""

    def validate(self) -> dict[str, float]:
        """Figures on held-out data; `score` (higher is better) decides early stopping where there is patience."""
        return {}
