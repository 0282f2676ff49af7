"""How the losses of several tasks become one step. One class each; all but the last two only scale the losses.

`Surgery` puts the tasks' gradients together by one of torchjd's aggregators. Scaling and aggregation act on what all tasks
share; a head belongs to one task and follows that task's own gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch

Task = Callable[[int, Any], float]  # (number, scale) -> mean loss; leaves the gradients in the parameters


class _Weighting(BaseModel):
    # `method` has no default: what is left at its default is left out of a stage's identity
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def parameters(self, tasks: int) -> dict[str, torch.nn.Parameter]:
        """What the weighting itself learns, or must remember over a kill."""
        return {}

    def groups(self, state: dict[str, Any]) -> list[dict]:
        """Parameter groups of the optimiser for what it learns."""
        return []

    def settle(self, state: dict[str, Any]) -> None:
        """Chance to bring what it learns back into bounds after a step."""

    def accumulate_gradients(
        self, task: Task, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        """Leave the step's gradients in the parameters; `kinds` names the kind of each task, the target's first.

        Returns the target's own mean loss.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how losses are put together")


class Fixed(_Weighting):
    """Weights that are declared: the target's is 1."""

    method: Literal["fixed"]
    others: Annotated[float, Field(ge=0)] = 1.0
    """weight of every other task's loss"""

    def accumulate_gradients(
        self, task: Task, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        losses = [task(number, None if number == 0 else self.others) for number in range(len(kinds))]
        return losses[0]


class Uncertainty(_Weighting):
    """Homoscedastic uncertainty: each task's noise is learnt, and noisy tasks weigh less.

    Kendall, Gal & Cipolla, "Multi-Task Learning Using Uncertainty" (2018), section 3.2, with s = log sigma^2: the loss is
    exp(-s) L + s/2, and for numbers exp(-s) L/2 + s/2.
    """

    method: Literal["uncertainty"]
    learning_rate: Annotated[float, Field(gt=0)] = 1e-2

    def parameters(self, tasks: int) -> dict[str, torch.nn.Parameter]:
        import torch

        return {"log_variance": torch.nn.Parameter(torch.zeros(tasks))}

    def groups(self, state: dict[str, Any]) -> list[dict]:
        return [{"params": [state["log_variance"]], "lr": self.learning_rate, "weight_decay": 0.0}]

    def accumulate_gradients(
        self, task: Task, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        import torch

        variance = state["log_variance"]
        half = [0.5 if kind == "regression" else 1.0 for kind in kinds]
        weights = (torch.exp(-variance.detach()) * torch.tensor(half, device=variance.device)).tolist()
        losses = [task(number, weight) for number, weight in enumerate(weights)]
        slope = [0.5 - weight * loss for weight, loss in zip(weights, losses, strict=True)]
        variance.grad = torch.tensor(slope, device=variance.device)
        return losses[0]


class GradNorm(_Weighting):
    """Weights that make all tasks' gradients alike in size, more so for tasks that lag behind.

    Chen et al., "GradNorm" (2018), section 3.2 and algorithm 1; the norm is taken over everything that is shared.
    """

    method: Literal["gradnorm"]
    asymmetry: Annotated[float, Field(ge=0)] = 1.5
    """0: all gradients alike; higher: tasks that learn slowly are pulled forward"""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-2

    def parameters(self, tasks: int) -> dict[str, torch.nn.Parameter]:
        import torch

        # the first losses are remembered like a parameter, so that a resumed run knows them
        return {"weights": torch.nn.Parameter(torch.ones(tasks)), "first": torch.nn.Parameter(torch.zeros(tasks))}

    def groups(self, state: dict[str, Any]) -> list[dict]:
        return [{"params": [state["weights"]], "lr": self.learning_rate, "weight_decay": 0.0}]

    def accumulate_gradients(
        self, task: Task, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
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
            behind = now / first.clamp(min=1e-12)
            wanted = norms.mean() * (behind / behind.mean().clamp(min=1e-12)) ** self.asymmetry
            weights.grad = torch.sign(norms - wanted) * norms / weights.clamp(min=1e-12)
            _give(shared, torch.stack(rows).sum(dim=0))
        return losses[0]

    def settle(self, state: dict[str, Any]) -> None:
        import torch

        if state:
            with torch.no_grad():
                weights = state["weights"].clamp_(min=1e-3)
                weights.mul_(len(weights) / weights.sum())


class Surgery(_Weighting):
    """Gradients that contradict each other are put together so that no task pays for another's gain.

    Yu et al., "Gradient Surgery for Multi-Task Learning" (2020), algorithm 1 (pcgrad), and torchjd's other aggregators.
    """

    method: Literal["surgery"]
    aggregator: Literal["pcgrad", "upgrad", "mgda", "aligned", "dualproj", "mean"] = "pcgrad"

    def accumulate_gradients(
        self, task: Task, kinds: Sequence[str], state: dict[str, Any], shared: Sequence[Any], accelerator: Any
    ) -> float:
        import torch

        rows, losses = _gradients(task, len(kinds), shared, [None] * len(kinds))
        _give(shared, self.combine(torch.stack(rows)))
        return losses[0]

    def combine(self, gradients: torch.Tensor) -> torch.Tensor:
        """One gradient (parameters,) out of each task's, (tasks, parameters)."""
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


def _gradients(task: Task, tasks: int, shared: Sequence[Any], scales: Sequence[Any]) -> tuple[list[Any], list[float]]:
    """Each task's gradient of what is shared as one row, taken out of the parameters; heads keep theirs. And the losses."""
    rows, losses = [], []
    for number in range(tasks):
        losses.append(task(number, scales[number]))
        rows.append(_take(shared))
    return rows, losses


def _take(shared: Sequence[Any]) -> torch.Tensor:
    import torch

    row = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in shared])
    for parameter in shared:
        parameter.grad = None
    return row


def _give(shared: Sequence[Any], row: torch.Tensor) -> None:
    place = 0
    for parameter in shared:
        parameter.grad = row[place : place + parameter.numel()].view_as(parameter).clone()
        place += parameter.numel()
