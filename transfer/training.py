"""THE training loop. Every method that trains goes through `train`; none brings its own.

What makes a killed and resumed run equal to an uninterrupted one, bit for bit on a CPU:

* the order of examples is a function of (seed, epoch), the masks of (seed, epoch, example), and dropout of
  (seed, step): no generator's state has to survive, it is derived again;
* weights, optimiser moments and the early-stopping record are saved together, whole or not at all (saving.py);
* the rate is a function of the step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from transfer.clock import Clock
from transfer.compute import Gauge, Spent, add_spent, remember, spent_so_far
from transfer.gradients import accumulate, agreed, common, open_accelerator
from transfer.runtime import Runtime
from transfer.saving import Saved, best_path, load_best, newest, save, save_best
from transfer.sharding import Held
from transfer.stage import Progress

if TYPE_CHECKING:
    import torch

SLANT = 32  # the slanted triangle's ratio of highest to lowest rate (Howard & Ruder 2018, section 3.2)
BUCKET = 16  # batches whose examples are sorted by length together: little padding, still random


class Schedule(BaseModel):
    """How long and how fast a method learns. Part of its identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    batch_size: Annotated[int, Field(ge=1)] = 32
    rate: Annotated[float, Field(gt=0)] = 5e-5
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

    def backward(self, accelerator: Any, indices: Sequence[int], epoch: int, micro: int | None) -> torch.Tensor | float:
        """Leave the gradients of a step in the parameters; returns its mean loss, a scalar."""
        return accumulate(accelerator, self, indices, epoch, micro, whole=self.whole)

    def before_step(self, step: int, steps: int) -> None:
        """Chance to freeze or unfreeze; must depend on its arguments alone."""

    def after_step(self, rate: float) -> None:
        """Chance to move weights once more; `rate` is the present rate of the first group."""

    def validate(self) -> dict[str, float]:
        """Figures on held-out data; `score` (higher is better) decides early stopping where there is patience."""
        return {}


@dataclass
class History:
    """What a run leaves: one row a report, one a validation. Survives a kill with the state."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_score: float = float("-inf")
    best_step: int = 0
    stale: int = 0  # validations since the best
    spent: Spent = field(default_factory=dict)  # since the run began, all attempts together


def train(
    learner: Learner,
    schedule: Schedule,
    steps: int,
    seed: int,
    runtime: Runtime,
    state: Path,
    report: Callable[[Progress], None],
    name: str = "train",
    patience: int | None = None,
) -> History:
    """Train `learner.model` in place for `steps` steps, resuming from `state` where an earlier try was killed.

    With `patience` the model is validated after every epoch, training stops after so many epochs without a better
    score, and the best epoch's weights are the ones that stay.
    """
    import torch

    accelerator = open_accelerator(runtime)
    model = runtime.place(learner.model)
    held = Held(learner, schedule.rate, accelerator, runtime)
    optimizer = torch.optim.AdamW(held.groups, lr=schedule.rate, weight_decay=schedule.weight_decay, fused=True)
    peaks = [group["lr"] for group in optimizer.param_groups]
    history = History()
    clock = Clock(runtime.save_every)

    def tell(row: dict[str, float]) -> None:
        report(Progress(name, row["step"], steps, "steps", clock.steps_per_second, row))

    before = spent_so_far()
    state = common(accelerator, state)
    saved = newest(state, model, optimizer, held.order)
    accelerator.wait_for_everyone()  # until then nobody may write there
    first = 0
    if saved is not None:
        first, history = saved.step, History(**saved.history)
        torch.set_num_threads(saved.threads or torch.get_num_threads())
        add_spent(history.spent)
        for row in history.rows:  # whoever listens now was not there when these were told
            tell(row)
    gauge = Gauge(1 if learner.whole else accelerator.num_processes, held.written)
    per_epoch = -(-len(learner.lengths) // schedule.batch_size)
    model.train()
    for step, epoch, indices in _batches(learner.lengths, schedule.batch_size, seed, first, steps):
        factor = schedule.factor(step, steps)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        learner.before_step(step, steps)
        torch.manual_seed(_mix(seed, step))
        tokens = learner.tokens(indices)
        with gauge.count(tokens, afresh=step % per_epoch == 0):
            loss = learner.backward(accelerator, indices, epoch, runtime.micro_batch)
        norm = held.clip(schedule.clip)
        optimizer.step()
        learner.after_step(peaks[0] * factor)
        optimizer.zero_grad(set_to_none=True)
        clock.count(tokens)
        done = step + 1
        if clock.wants_report() or done == steps or step == first:
            figures = {"loss": float(loss), "learning_rate": peaks[0] * factor, "gradient_norm": float(norm)}
            history.rows.append({"step": done, **figures, **clock.figures()})
            tell(history.rows[-1])
        if patience is not None and done % per_epoch == 0:
            _validate(learner, history, done, state, tell, before, held)
            model.train()
            if history.stale >= patience:
                break
        if held.agree(clock.wants_save()) and done < steps:
            history.spent = _since(before)
            mark = Saved(done, vars(history), torch.get_num_threads())
            save(state, model, optimizer, mark, held.order, held.first)
    accelerator.wait_for_everyone()
    held.release()
    if patience is not None and best_path(state, history.best_step).exists():
        load_best(state, history.best_step, model)
    model.eval()
    for row in history.rows:
        if "validation_score" in row:
            remember({"score": row["validation_score"], **{name: before[name] + row.get(name, 0.0) for name in before}})
    return history


def _since(before: Spent) -> Spent:
    """What has been spent since a run began."""
    return {name: value - before[name] for name, value in spent_so_far().items()}


def _validate(
    learner: Learner,
    history: History,
    done: int,
    state: Path,
    tell: Callable[[dict[str, float]], None],
    before: Spent,
    held: Held,
) -> None:
    """Measure on held-out data, remember the best weights, and say so."""
    learner.model.eval()
    with held.ranking():
        figures = agreed(held.accelerator, learner.validate())
    history.rows.append({"step": done, **{f"validation_{k}": v for k, v in figures.items()}, **_since(before)})
    if figures["score"] > history.best_score:
        history.best_score, history.best_step, history.stale = figures["score"], done, 0
        if held.writes:
            save_best(state, done, learner.model, held.first)
    else:
        history.stale += 1
    tell(history.rows[-1])


def _batches(
    lengths: Sequence[int], size: int, seed: int, first: int, steps: int
) -> Iterator[tuple[int, int, list[int]]]:
    """(step, epoch, indices) from step `first` on, epoch after epoch, until `steps`."""
    per_epoch = -(-len(lengths) // size)
    step = first
    while step < steps:
        epoch = step // per_epoch
        for indices in epoch_batches(lengths, size, seed, epoch)[step % per_epoch :]:
            if step >= steps:
                return
            yield step, epoch, indices
            step += 1


def epoch_batches(lengths: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Every example once, in batches of like length (of rows of numbers: as they come), in an order that depends on
    (seed, epoch) alone."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    # sorted by their place in the file, rows of one token would make batches of one source or one label
    window = size if max(lengths, default=0) == 1 else size * BUCKET
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        near = sorted(order[start : start + window].tolist(), key=lambda i: (lengths[i], i))
        batches += [near[i : i + size] for i in range(0, len(near), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _mix(seed: int, step: int) -> int:
    """A seed for one step that no other (seed, step) of a sensible run shares."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
