"""Learner, the interface of the training loop, and its learning-rate schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from transferline.training.gradients import accumulate

if TYPE_CHECKING:
    import torch

SLANT = (
    32  # ratio of the highest to the lowest learning rate of the slanted triangle (Howard & Ruder 2018, section 3.2)
)

TRAINED = 2
"""version of every method that trains with the loop. 2: batches of equal lengths are mixed, and vectors have no weight decay"""


class Schedule(BaseModel):
    """Batch size, learning rate and its schedule. Part of a method's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    """peak learning rate"""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of the steps in which the learning rate rises linearly; it falls linearly afterwards"""
    shape: Literal["linear", "slanted"] = "linear"
    """linear: start and end at zero; slanted: start and end at 1/32 of the peak (ULMFiT's slanted triangle)"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Annotated[float, Field(gt=0)] = 1.0
    """largest norm of the gradient; a larger gradient is scaled down"""

    def factor(self, step: int, steps: int) -> float:
        """Learning rate at 0-based `step` of `steps`, as a share of the peak."""
        rising = max(1, round(self.warmup * steps))
        share = (step + 1) / rising if step < rising else max(0.0, (steps - step) / max(1, steps - rising))
        return share if self.shape == "linear" else (1 + share * (SLANT - 1)) / SLANT


class Learner(ABC):
    """A model, its training examples and their loss. Methods implement it and pass it to `train`."""

    model: Any  # a torch.nn.Module
    lengths: list[int]  # number of tokens of each example
    whole = False  # with several processes: whether each computes the loss of the whole batch
    shards = False  # with several processes: whether the model's layers may be sharded

    @abstractmethod
    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        """Build a batch of tensors. The result must depend only on the arguments and the seed, so that runs can be resumed."""

    @abstractmethod
    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean loss of a batch, a scalar tensor."""

    def groups(self, rate: float) -> list[dict]:
        """Parameter groups for the optimiser, each with its peak learning rate `lr`."""
        return [{"params": list(self.model.parameters()), "lr": rate}]

    def terms(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The loss as a sum of means, by name. A loss with means over different units (examples, tokens) overrides this."""
        return {"": self.loss(batch)}

    def units(self, indices: Sequence[int], epoch: int) -> dict[str, float]:
        """Number of units that each term of the loss averages over: examples here, and tokens for language models.

        Parts of a batch are weighted by it, so that the mean is the same whole, in micro-batches and in shares of processes.
        """
        return {"": float(len(indices))}

    def tokens(self, indices: Sequence[int]) -> int:
        """Number of tokens in these examples, for the throughput and the cost."""
        return sum(self.lengths[i] for i in indices)

    def accumulate_gradients(
        self, accelerator: Any, indices: Sequence[int], epoch: int, micro: int | None
    ) -> torch.Tensor | float:
        """Compute the gradients of a step into the parameters. Returns the mean loss, a scalar."""
        return accumulate(accelerator, self, indices, epoch, micro, whole=self.whole)

    def before_step(self, step: int, steps: int) -> None:
        """Hook to freeze or unfreeze parameters. Must depend only on its arguments, so that runs can be resumed."""

    def after_step(self, rate: float) -> None:
        """Hook to change weights after the optimiser. `rate` is the current learning rate of the first group."""

    def validate(self) -> dict[str, float]:
        """Metrics on held-out data. `score` (higher is better) decides early stopping."""
        return {}
