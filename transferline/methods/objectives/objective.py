"""Base classes of the self-supervised objectives: the text to train on, the training loop, and the held-out loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import PADDING, Lengths, Size, StepTexts
from transferline.core.stage import SELECTED, Stage, StageKind, Work
from transferline.models.tokenization import load_tokenizer
from transferline.training.learner import TRAINED, Learner, Schedule
from transferline.training.loop import train

MEASURING = 2**31  # epoch number for the masks of the held-out loss: no training reaches it, so no mask is shared
SELECTED_FILE = "corpus.jsonl"


class FromText(Stage):
    """Base class of stages that train on raw text.

    On the domain's corpus this is domain-adaptive pretraining, on the task's training texts task-adaptive pretraining (Gururangan
    et al., "Don't Stop Pretraining", 2020). `adapt` is a list, so a recipe can do one after the other.
    """

    kind: ClassVar[StageKind] = "adapt"
    gpu: ClassVar[bool] = True

    text: Literal["corpus", "task", "selected"] = "corpus"
    """corpus: the domain's corpus, task: the target's training texts, selected: texts selected by an earlier stage"""

    def roles(self) -> tuple[str, ...]:
        return {"corpus": ("corpus",), "task": ("train",), "selected": (SELECTED,)}[self.text]

    def file(self, work: Work) -> Path:
        """The file with the training texts."""
        if self.text == "selected":
            return work.parents[1] / SELECTED_FILE
        return work.data["train" if self.text == "task" else "corpus"]


class Objective(FromText):
    """Base class of the self-supervised objectives."""

    version: ClassVar[int] = TRAINED
    long: ClassVar[bool] = True

    tokens: Annotated[int, Field(ge=1)] = 1_000_000
    """number of training tokens; the text is repeated as needed"""
    schedule: Schedule = Schedule(learning_rate=1e-4)

    def flops(self, size: Size, tokens: StepTexts) -> float:
        # the last step may read a whole batch more than is asked for
        example = Lengths.alike(1, self.longest(tokens))
        return PADDING * (self.tokens / example.tokens + self.schedule.batch_size) * self.step_flops(size, example)

    def longest(self, tokens: StepTexts) -> int:
        """Length of the longest example that the objective trains on, in tokens. By default that of long blocks."""
        return 512

    def step_flops(self, size: Size, example: Lengths) -> float:
        """FLOPs of training on one example. By default the network's, without a language model head."""
        return size.step(example)

    def steps(self, tokens_per_batch: float) -> int:
        """Number of optimiser steps that read `tokens` tokens."""
        return max(1, math.ceil(self.tokens / tokens_per_batch))

    def adapt(
        self,
        work: Work,
        learner: Learner,
        measure: Callable[[], float],
        save: Callable[[], None],
        figure: str = "heldout_loss",
    ) -> dict[str, float]:
        """Train and save, and measure the objective on held-out text before and after. Returns the metrics."""
        mean_length = sum(learner.lengths) / len(learner.lengths)
        steps = self.steps(mean_length * self.schedule.batch_size)
        work.runtime.place(learner.model)
        before = measure()
        train(
            learner,
            self.schedule,
            steps,
            seed=work.seed,
            runtime=work.runtime,
            state=work.state,
            report=work.report,
            name=work.name,
        )
        after = measure()
        save()
        return {
            f"{figure}_before": before,
            figure: after,
            "tokens": float(round(steps * mean_length * self.schedule.batch_size)),
            "examples": float(len(learner.lengths)),
        }


def opened(work: Work) -> tuple[Any, Path]:
    """The parent's tokenizer and folder."""
    parent = work.needs_parent()
    return load_tokenizer(parent), parent


def mean_loss(learner: Any, examples: Any, size: int = 32) -> float:
    """Mean loss on held-out examples, always with the same random masks. Batches come from `learner.batch`."""
    import torch

    learner.model.eval()
    losses, weights = [], []
    with torch.no_grad():
        for start in range(0, len(examples), size):
            indices = range(start, min(start + size, len(examples)))
            batch = learner.batch(examples, indices, MEASURING)
            device = next(learner.model.parameters()).device
            losses.append(float(learner.loss({k: v.to(device) for k, v in batch.items()})))
            weights.append(len(indices))
    return float(np.average(losses, weights=weights))
