"""Weightings of multitask losses: fixed weights, uncertainty, GradNorm, and gradient surgery.

The first two scale losses. GradNorm also reads the tasks' gradients, and `Surgery` combines them with an aggregator of torchjd.
GradNorm and `Surgery` act on shared parameters only: a head belongs to one task and gets that task's own gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch

TaskLoss = Callable[[int, Any], float]
"""(number of a task, factor of its loss) -> its mean loss; accumulates the gradients in the parameters"""


class _Weighting(BaseModel):
    # `method` has no default: defaults are left out of a stage's identity, so two methods with equal settings would share a key
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def parameters(self, tasks: int) -> dict[str, torch.nn.Parameter]:
        """Parameters of the weighting itself: trained, or kept in the training state so that a killed run can resume."""
        return {}

    def groups(self, state: dict[str, Any]) -> list[dict]:
        """Optimiser groups of the weighting's own parameters."""
        return []

    def settle(self, state: dict[str, Any]) -> None:
        """Project the weighting's own parameters back into their bounds after a step."""

    def accumulate_gradients(
        self, task: TaskLoss, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        """Accumulate the step's gradients in the parameters. Returns the target's mean loss.

        `kinds` are the kinds of the tasks, the target's first. `shared` are the parameters that all tasks train.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement accumulate_gradients")


class Fixed(_Weighting):
    """Fixed weights. The target's loss has weight 1."""

    method: Literal["fixed"]
    others: Annotated[float, Field(ge=0)] = 1.0
    """weight of every other task's loss"""

    def accumulate_gradients(
        self, task: TaskLoss, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        losses = [task(number, None if number == 0 else self.others) for number in range(len(kinds))]
        return losses[0]


class Uncertainty(_Weighting):
    """Uncertainty weighting: learn each task's noise, and give noisy tasks a lower weight.

    Kendall, Gal & Cipolla, "Multi-Task Learning Using Uncertainty" (2018), section 3.2, with s = log sigma^2: the loss is
    exp(-s) L + s/2, and for regression exp(-s) L/2 + s/2.
    """

    method: Literal["uncertainty"]
    learning_rate: Annotated[float, Field(gt=0)] = 1e-2

    def parameters(self, tasks: int) -> dict[str, torch.nn.Parameter]:
        import torch

        return {"log_variance": torch.nn.Parameter(torch.zeros(tasks))}

    def groups(self, state: dict[str, Any]) -> list[dict]:
        return [{"params": [state["log_variance"]], "lr": self.learning_rate, "weight_decay": 0.0}]

    def accumulate_gradients(
        self, task: TaskLoss, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        import torch

        variance = state["log_variance"]
        half = [0.5 if kind == "regression" else 1.0 for kind in kinds]
        weights = (torch.exp(-variance.detach()) * torch.tensor(half, device=variance.device)).tolist()
        losses = [task(number, weight) for number, weight in enumerate(weights)]
        # d/ds of exp(-s) L + s/2, written out: the losses are floats here, without a graph to differentiate
        slope = [0.5 - weight * loss for weight, loss in zip(weights, losses, strict=True)]
        variance.grad = torch.tensor(slope, device=variance.device)
        return losses[0]


class GradNorm(_Weighting):
    """GradNorm: weights that equalise the gradient norms of the tasks, with larger gradients for tasks that learn slowly.

    Chen et al., "GradNorm" (2018), section 3.2 and algorithm 1. The norm is taken over all shared parameters.
    """

    method: Literal["gradnorm"]
    asymmetry: Annotated[float, Field(ge=0)] = 1.5
    """alpha of the paper; 0: equal gradient norms, higher: larger gradients for tasks that learn slowly"""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-2

    def parameters(self, tasks: int) -> dict[str, torch.nn.Parameter]:
        import torch

        # the first losses are a parameter, so that the training state keeps them for a resumed run
        return {"weights": torch.nn.Parameter(torch.ones(tasks)), "first": torch.nn.Parameter(torch.zeros(tasks))}

    def groups(self, state: dict[str, Any]) -> list[dict]:
        return [{"params": [state["weights"]], "lr": self.learning_rate, "weight_decay": 0.0}]

    def accumulate_gradients(
        self, task: TaskLoss, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        import torch

        weights, first = state["weights"], state["first"]
        scales = weights.detach().tolist()
        rows, losses = _gradients(task, len(kinds), shared, scales)
        now = torch.tensor(losses, device=weights.device)
        with torch.no_grad():
            if not bool(first.any()):
                first.copy_(now)
            norms = torch.stack([row.norm() for row in rows])  # of w_i L_i
            behind = now / first.clamp(min=1e-12)  # inverse training rate of each task
            wanted = norms.mean() * (behind / behind.mean().clamp(min=1e-12)) ** self.asymmetry
            weights.grad = torch.sign(norms - wanted) * norms / weights.clamp(min=1e-12)
            _give(shared, torch.stack(rows).sum(dim=0))
        return losses[0]

    def settle(self, state: dict[str, Any]) -> None:
        import torch

        if state:
            with torch.no_grad():
                weights = state["weights"].clamp_(min=1e-3)
                weights.mul_(len(weights) / weights.sum())  # the weights sum to the number of tasks, as in the paper


class Surgery(_Weighting):
    """Gradient surgery: combine conflicting gradients of the tasks with an aggregator of torchjd.

    Yu et al., "Gradient Surgery for Multi-Task Learning" (2020), algorithm 1, is `pcgrad`.
    """

    method: Literal["surgery"]
    aggregator: Literal["pcgrad", "upgrad", "mgda", "aligned", "dualproj", "mean"] = "pcgrad"

    def accumulate_gradients(
        self, task: TaskLoss, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        import torch

        rows, losses = _gradients(task, len(kinds), shared, [None] * len(kinds))
        _give(shared, self.combine(torch.stack(rows)))
        return losses[0]

    def combine(self, gradients: torch.Tensor) -> torch.Tensor:
        """Combine the tasks' gradients (tasks, parameters) into one (parameters,)."""
        from torchjd import aggregation

        made: dict[str, Callable[[], Any]] = {
            "pcgrad": aggregation.PCGrad,
            "upgrad": aggregation.UPGrad,
            "mgda": aggregation.MGDA,
            "aligned": aggregation.AlignedMTL,
            "dualproj": aggregation.DualProj,
            "mean": aggregation.Mean,
        }
        return made[self.aggregator]()(gradients)


Weighting = Annotated[Fixed | Uncertainty | GradNorm | Surgery, Field(discriminator="method")]


def _gradients(
    task: TaskLoss, tasks: int, shared: Sequence[Any], scales: Sequence[Any]
) -> tuple[list[Any], list[float]]:
    """The gradient of the shared parameters, flattened to one row, and the mean loss of each task.

    The rows are removed from the shared parameters. Heads keep their gradients.
    """
    rows, losses = [], []
    for number in range(tasks):
        losses.append(task(number, scales[number]))
        rows.append(_take(shared))
    return rows, losses


def _take(shared: Sequence[Any]) -> torch.Tensor:
    """Flatten the gradients of parameters into one row, and clear them."""
    import torch

    row = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in shared])
    for parameter in shared:
        parameter.grad = None
    return row


def _give(shared: Sequence[Any], row: torch.Tensor) -> None:
    """Set the gradients of parameters from one flat row."""
    place = 0
    for parameter in shared:
        parameter.grad = row[place : place + parameter.numel()].view_as(parameter).clone()
        place += parameter.numel()
