"""An intermediate task: the model first learns a source task's labels, and its encoder goes on to the target.

Phang, Fevry & Bowman, "Sentence Encoders on STILTs" (2018), section 2. Several in a row are several stages of `adapt`. The
source task's head is dropped: what is handed on is a base like the one that came in.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from transferline.core.stage import Stage, StageKind, Work
from transferline.methods.multitask.export_encoder import keep_encoder
from transferline.methods.parameter.full import Full


class Intermediate(Stage):
    """Learn a source task's labels first, and keep the encoder."""

    kind: ClassVar[StageKind] = "adapt"
    gpu: ClassVar[bool] = True
    long: ClassVar[bool] = True
    source: ClassVar[str] = "Phang et al. 2018, section 2"

    method: Literal["intermediate"] = "intermediate"
    source_task: str
    """the source task: a target of params.yaml"""
    tune: Full = Full()
    """how the source task is learnt"""

    def source_task_names(self) -> tuple[str, ...]:
        return (self.source_task,)

    def roles(self) -> tuple[str, ...]:
        return f"{self.source_task}/train", f"{self.source_task}/validation"

    def build(self, work: Work) -> dict[str, float]:
        train, validation = (work.data[role] for role in self.roles())
        method = _Kept.model_validate({**self.tune.model_dump(), "parent": work.needs_parent()})
        figures = method.fit(replace(work, data={"train": train, "validation": validation}))
        return {f"source_{name}": value for name, value in figures.items() if name != "score"}


class _Kept(Full):
    """Fine-tuning that hands on its encoder, in the shape of the parent, instead of a model with a head."""

    parent: Path

    def save(self, model: Any, out: Path) -> None:
        keep_encoder(model, self.parent, out)
