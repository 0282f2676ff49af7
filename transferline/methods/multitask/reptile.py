"""Reptile: meta-learn an initialisation from which each source task is learnt in a few steps.

Nichol, Achiam & Schulman, "On First-Order Meta-Learning Algorithms" (2018), algorithm 1. Each round draws a task, trains on it for
k steps, and moves the initialisation towards the result by a step size that falls linearly to zero (section 6.1). With k = 1 it is
joint training of all tasks (section 2). With k > 1 it favours directions on which the tasks agree (section 5). Each task has its
own head, and the stage passes on the encoder only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import PADDING, Size, StepTexts
from transferline.core.stage import Stage, StageKind, Work
from transferline.methods.multitask.export_encoder import keep_encoder
from transferline.methods.multitask.joint import part_of, tie
from transferline.methods.parameter.full import Full
from transferline.methods.parameter.tuning import TuningLearner
from transferline.models.heads import Pooling
from transferline.training.gradients import accumulate
from transferline.training.learner import TRAINED, Learner, Schedule
from transferline.training.loop import train

if TYPE_CHECKING:
    import torch


class Reptile(Stage):
    """Meta-learn an initialisation on source tasks, and keep the encoder."""

    kind: ClassVar[StageKind] = "adapt"
    version: ClassVar[int] = TRAINED
    gpu: ClassVar[bool] = True
    long: ClassVar[bool] = True
    source: ClassVar[str] = "Nichol et al. 2018, algorithm 1"

    method: Literal["reptile"] = "reptile"
    source_tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """the source tasks: targets of params.yaml, of any kind"""
    rounds: Annotated[int, Field(ge=1)] = 50
    """meta-training rounds, each on one task"""
    inner: Annotated[int, Field(ge=1)] = 5
    """training steps on the task of a round (k)"""
    outer: Annotated[float, Field(ge=0, le=1)] = 0.5
    """step size of the first round, as a share of the distance moved; it falls linearly to zero"""
    max_tokens: Annotated[int, Field(ge=8)] = 128
    pooling: Pooling = "mean"
    head_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    schedule: Schedule = Schedule(batch_size=16)

    def roles(self) -> tuple[str, ...]:
        return tuple(f"{name}/train" for name in self.source_tasks)

    def flops(self, size: Size, tokens: StepTexts) -> float:
        # rounds draw their tasks at random: each counts as the one with the longest texts
        batch = self.schedule.batch_size
        sources = [texts.padded(batch) for texts in tokens.cut(self.max_tokens).sources()]
        steps = [size.step(texts) / max(1, len(texts)) * min(batch, len(texts)) for texts in sources]
        return PADDING * self.rounds * self.inner * max(steps)

    def build(self, work: Work) -> dict[str, float]:
        learner = self.learner(work)
        steps = self.rounds * self.inner
        history = train(
            learner,
            self.schedule,
            steps,
            seed=work.seed,
            runtime=work.runtime,
            state=work.state,
            report=work.report,
            name=work.name,
        )
        keep_encoder(learner.parts[0].model, work.needs_parent(), work.out)
        losses = [row["loss"] for row in history.rows if "loss" in row]
        return {"rounds": float(self.rounds), "tasks": float(len(self.source_tasks)), "loss": losses[-1]}

    def learner(self, work: Work) -> ReptileLearner:
        """The Reptile learner, with one learner per task on a shared encoder."""
        how = Full(
            max_tokens=self.max_tokens,
            pooling=self.pooling,
            head_learning_rate=self.head_learning_rate,
            schedule=self.schedule,
        )
        parts = [part_of(how, work.data[role], work) for role in self.roles()]
        for part in parts[1:]:
            tie(part.model, parts[0].model)
        return ReptileLearner(self, parts, work.seed)


class ReptileLearner(Learner):
    """Learner that trains in rounds over tasks.

    The anchors are the weights at the start of the round. They are parameters, so the training state has them and a killed round
    resumes correctly.
    """

    def __init__(self, method: Reptile, parts: Sequence[TuningLearner], seed: int) -> None:
        import torch

        self.method, self.parts, self.seed = method, list(parts), seed
        first = parts[0].model.base_model
        self.moving = [p for p in first.parameters() if p.requires_grad and id(p) not in parts[0].head]
        whole: Any = torch.nn.Module()
        whole.models = torch.nn.ModuleList(part.model for part in parts)
        whole.anchors = torch.nn.ParameterList(torch.nn.Parameter(p.detach().clone()) for p in self.moving)
        self.model, self.anchors = whole, list(whole.anchors)
        self.lengths = [1] * method.schedule.batch_size  # a step draws its own examples
        self.step, self.share = 0, 0.0
        whole.always_frozen = frozenset(n for n, p in whole.named_parameters() if not p.requires_grad)

    def groups(self, rate: float) -> list[dict]:
        inside = {id(p) for p in self.moving}
        heads = {id(p): p for part in self.parts for p in part.model.parameters() if p.requires_grad}
        rest = [p for key, p in heads.items() if key not in inside]
        return [{"params": self.moving, "lr": rate}, {"params": rest, "lr": self.method.head_learning_rate}]

    def before_step(self, step: int, steps: int) -> None:
        import torch

        self.step = step
        done = step // self.method.inner
        self.share = self.method.outer * (1 - done / self.method.rounds)
        if step % self.method.inner == 0:
            with torch.no_grad():
                for anchor, parameter in zip(self.anchors, self.moving, strict=True):
                    anchor.copy_(parameter)

    def after_step(self, rate: float) -> None:
        import torch

        if (self.step + 1) % self.method.inner == 0:
            with torch.no_grad():
                for anchor, parameter in zip(self.anchors, self.moving, strict=True):
                    parameter.copy_(anchor.lerp(parameter, self.share))

    def accumulate_gradients(
        self, accelerator: Any, indices: Sequence[int], epoch: int, micro: int | None
    ) -> torch.Tensor:
        """Gradients of the current round's task, on examples that are drawn by (seed, step)."""
        part = self.part()
        rng = np.random.default_rng([self.seed, self.step, 1])
        drawn = rng.permutation(len(part.lengths))[: self.method.schedule.batch_size]
        return accumulate(accelerator, part, drawn.tolist(), epoch, micro)

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.part().collate(indices, epoch)

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.part().loss(batch)

    def part(self) -> TuningLearner:
        """The learner of the current round's task, drawn by (seed, round)."""
        rng = np.random.default_rng([self.seed, self.step // self.method.inner])
        return self.parts[int(rng.integers(len(self.parts)))]
