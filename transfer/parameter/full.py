"""Full fine-tuning: the pretrained weights are the initialisation, and everything learns.

Devlin et al., "BERT" (2019), section 4: few epochs, small rate. The guards against overfitting a small target are early
stopping on validation, a short warm-up (Mosbach et al. 2021: without it small-data fine-tuning is unstable), and
several seeds of which validation chooses the one that ships.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transfer.parameter.classification import ClassificationLearner, labels_of, load_splits, save_classifier
from transfer.parameter.heads import Pooling, head_parameters, load_classifier
from transfer.stage import Kind, Stage, Work
from transfer.training import Schedule, train


class Full(Stage):
    """Fine-tune every parameter on the target's training split."""

    kind: ClassVar[Kind] = "tune"
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    long: ClassVar[bool] = True
    gpu: ClassVar[bool] = True
    random: ClassVar[bool] = True

    method: Literal["full"] = "full"
    epochs: Annotated[int, Field(ge=1)] = 10
    patience: Annotated[int, Field(ge=1)] = 3
    """epochs without a better validation score before training stops"""
    max_tokens: Annotated[int, Field(ge=8)] = 128
    pooling: Pooling = "mean"
    head_rate: Annotated[float, Field(gt=0)] = 1e-3
    """peak rate of the new head"""
    schedule: Schedule = Schedule(batch_size=16)

    def build(self, work: Work) -> dict[str, float]:
        labels = labels_of(work.data["train"])
        model = load_classifier(work.needs_parent(), labels, self.pooling, work.seed)
        return self.fit(model, labels, work)

    def fit(self, model: Any, labels: list[str], work: Work) -> dict[str, float]:
        """Train a classifier, whatever its weights came from, and save it to `work.out`."""
        tokenizer, examples, validation = load_splits(work, labels, self.max_tokens)
        learner = ClassificationLearner(model, examples, validation, head_parameters(model), self.head_rate)
        steps = self.epochs * -(-len(learner.lengths) // self.schedule.batch_size)
        history = train(
            learner, self.schedule, steps, work.seed, work.runtime, work.state, work.report, work.name, self.patience
        )
        return {**save_classifier(model, tokenizer, validation, work.out), "best_step": float(history.best_step)}
