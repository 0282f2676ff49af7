"""The training loop. Every method that trains uses `train`.

A run that is killed and resumed equals an uninterrupted one, bit for bit on a CPU, because:

* The order of examples depends on (seed, epoch), masks depend on (seed, epoch, example), and dropout depends on (seed, step).
  Random states are derived again after a restart instead of being saved.
* Weights, optimiser moments and the early-stopping record are saved together, completely or not at all (saved_state.py).
* The learning rate depends on the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from transferline.core.cost import Gauge, Spent, add_spent, remember, spent_so_far
from transferline.core.leaving import Leaving, is_leaving
from transferline.core.runtime import Runtime
from transferline.core.stage import Progress
from transferline.core.throughput import Clock
from transferline.training.divergence_watch import DivergenceWatch
from transferline.training.gradients import agreed, common, open_accelerator
from transferline.training.learner import Learner, Schedule
from transferline.training.saved_state import Saved, best_path, load_best, newest, save, save_best
from transferline.training.sharding import HeldModel

BUCKET = 16  # most batches that are sorted by length together: little padding, and the order stays random
SHARE = 4  # such a bucket holds at most this part of the batches, so that batches of small data differ between epochs


@dataclass
class History:
    """Record of a run: a row for each report and for each validation. Saved with the state, so it survives a kill."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_score: float = float("-inf")
    best_step: int = 0
    stale: int = 0  # validations since the best one
    spent: Spent = field(default_factory=dict)  # since the run began, over all attempts


def train(
    learner: Learner,
    schedule: Schedule,
    steps: int,
    *,
    seed: int,
    runtime: Runtime,
    state: Path,
    report: Callable[[Progress], None],
    name: str = "train",
    patience: int | None = None,
) -> History:
    """Train `learner.model` in place for `steps` steps, and resume from `state` if an earlier attempt was killed.

    With `patience` the model is validated after every epoch. Training stops after `patience` epochs without a better score, and the
    model keeps the weights of the best epoch. `report` gets the progress, and `name` is the name that it shows.
    """
    import torch

    accelerator = open_accelerator(runtime)
    model = runtime.place(learner.model)
    held = HeldModel(learner, schedule.learning_rate, accelerator, runtime)
    optimizer = torch.optim.AdamW(
        held.groups, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
    peaks = [group["lr"] for group in optimizer.param_groups]
    history = History()
    clock = Clock(runtime.save_every)

    def report_row(row: dict[str, float]) -> None:
        report(Progress(name, row["step"], steps, "steps", clock.steps_per_second, row))

    before = spent_so_far()
    state = common(accelerator, state)
    saved = newest(state, model, optimizer, held.order)
    accelerator.wait_for_everyone()  # no process may write before all have read
    first = 0
    if saved is not None:
        first, history = saved.step, History(**saved.history)
        # another number of threads would round differently
        torch.set_num_threads(saved.threads or torch.get_num_threads())
        add_spent(history.spent)
        for row in history.rows:  # this attempt's listener has not seen the rows of earlier attempts
            report_row(row)
    # with `whole` every process computes the whole batch, so one process's FLOPs are those of the step
    gauge = Gauge(1 if learner.whole else accelerator.num_processes, held.written)
    per_epoch = -(-len(learner.lengths) // schedule.batch_size)
    watch = DivergenceWatch(name, ahead=accelerator.device.type != "cpu")
    model.train()
    for step, epoch, indices in _batches(learner.lengths, schedule.batch_size, seed, first, steps):
        factor = schedule.factor(step, steps)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        learner.before_step(step, steps)
        torch.manual_seed(_step_seed(seed, step))  # dropout is a function of (seed, step)
        tokens = learner.tokens(indices)
        with gauge.count(tokens, afresh=step % per_epoch == 0):
            loss = learner.accumulate_gradients(accelerator, indices, epoch, runtime.micro_batch)
        norm = held.clip(schedule.clip)
        watch.check(step, peaks[0] * factor, loss, norm)
        optimizer.step()
        learner.after_step(peaks[0] * factor)
        optimizer.zero_grad(set_to_none=True)
        clock.count(tokens)
        done = step + 1
        if clock.wants_report() or done == steps or step == first:
            figures = {"loss": float(loss), "learning_rate": peaks[0] * factor, "gradient_norm": float(norm)}
            history.rows.append({"step": done, **figures, **clock.figures()})
            report_row(history.rows[-1])
        if patience is not None and done % per_epoch == 0:
            _validate(learner, history, done, state, report_row, before=before, held=held)
            model.train()
            if history.stale >= patience:
                break
        if held.agree(clock.wants_save() or is_leaving()) and done < steps:
            watch.settle()
            history.spent = _since(before)
            mark = Saved(done, vars(history), torch.get_num_threads())
            save(state, model, optimizer, mark, held.order, held.first)
            if is_leaving():
                raise Leaving(f"{name} is saved at step {done} of {steps}; the next start goes on there")
    watch.settle()
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
    """Cost since a run began."""
    return {name: value - before[name] for name, value in spent_so_far().items()}


def _validate(
    learner: Learner,
    history: History,
    done: int,
    state: Path,
    report_row: Callable[[dict[str, float]], None],
    *,
    before: Spent,
    held: HeldModel,
) -> None:
    """Validate, save the weights if they are the best so far, and report the metrics."""
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
    report_row(history.rows[-1])


def _batches(
    lengths: Sequence[int], size: int, seed: int, first: int, steps: int
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield (step, epoch, indices of the batch) from step `first` up to `steps`."""
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
    """Split the examples of an epoch into batches of similar length, in an order that depends only on (seed, epoch).

    Examples are shuffled, then sorted by length within buckets of some batches. The sort is stable, so examples of equal length
    stay shuffled: the order of the file, which is often sorted by label, has no part in it. The short batch that is left over is
    drawn at random, because at the end of a bucket it would always hold the longest texts.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths)).tolist()
    left = len(order) % size
    batches = [order[:left]] if left else []
    bucket = size * max(1, min(BUCKET, len(order) // size // SHARE))
    for start in range(left, len(order), bucket):
        near = sorted(order[start : start + bucket], key=lengths.__getitem__)
        batches += [near[i : i + size] for i in range(0, len(near), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _step_seed(seed: int, step: int) -> int:
    """A seed for one step, in practice different for every (seed, step)."""
    # shifted by one bit, because torch takes seeds below 2**63
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
