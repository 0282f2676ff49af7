"""Intermediate-task training (STILTs): fine-tune on a source task first, then pass the encoder to the next stage.

Phang, Fevry & Bowman, "Sentence Encoders on STILTs" (2018), section 2. Several stages of `adapt` train several tasks in sequence.
The source task's head is dropped, so the result has the same form as the base.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from transferline.core.flops import Size, StepTexts
from transferline.core.stage import Stage, StageKind, Work
from transferline.methods.multitask.export_encoder import keep_encoder
from transferline.methods.parameter.full import Full
from transferline.training.learner import TRAINED


class Intermediate(Stage):
    """Fine-tune on a source task first, and keep the encoder."""

    kind: ClassVar[StageKind] = "adapt"
    version: ClassVar[int] = TRAINED
    gpu: ClassVar[bool] = True
    long: ClassVar[bool] = True
    source: ClassVar[str] = "Phang et al. 2018, section 2"

    method: Literal["intermediate"] = "intermediate"
    source_task: str
    """the source task: a target of params.yaml"""
    tune: Full = Full()
    """settings of fine-tuning on the source task"""

    def source_task_names(self) -> tuple[str, ...]:
        return (self.source_task,)

    def roles(self) -> tuple[str, ...]:
        return f"{self.source_task}/train", f"{self.source_task}/validation"

    def flops(self, size: Size, tokens: StepTexts) -> float:
        train, validation = (tokens[role] for role in self.roles())
        return self.tune.flops(size, StepTexts({"train": train, "validation": validation}))

    def build(self, work: Work) -> dict[str, float]:
        train, validation = (work.data[role] for role in self.roles())
        method = _Kept.model_validate({**self.tune.model_dump(), "parent": work.needs_parent()})
        figures = method.fit(replace(work, data={"train": train, "validation": validation}))
        return {f"source_{name}": value for name, value in figures.items() if name != "score"}


class _Kept(Full):
    """Full fine-tuning that saves the encoder in the parent's format, without the head."""

    parent: Path

    def save(self, model: Any, out: Path) -> None:
        keep_encoder(model, self.parent, out)
