"""Recipe: the declaration in params.yaml of how to build a model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from transferline.core.problem import Setting
from transferline.core.stage import Stage
from transferline.recipes.registry import Adaptation, Instances, Tuning

OTHER = "other"  # placeholder for a source task, which a comparison replaces


class Recipe(BaseModel):
    """A sequence of stages: base -> adapt* -> instances? -> tune."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base: str
    """name of a base in params.yaml"""
    adapt: tuple[Adaptation, ...] = ()
    """adaptation stages, in order: on the domain's text, the task's own text, or the labelled examples of source tasks"""
    instances: Instances | None = None
    """weighted source examples to train on together with the target's own; works with any method of `tune`"""
    tune: Tuning
    """method that trains on the target's labels"""
    about: str = ""
    """description"""
    setting: Setting | None = None
    """transfer setting of the base, if you know it; a public base's setting cannot be derived"""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages after the base, in order."""
        return (*self.adapt, *((self.instances,) if self.instances else ()), self.tune)

    def source_task_names(self) -> tuple[str, ...]:
        """The names of the source tasks of all stages, without duplicates."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.source_task_names()))

    def alone(self) -> Recipe:
        """The same tuning without adaptation and source examples: the unadapted control."""
        return self.model_copy(update={"adapt": (), "instances": None, "tune": self.tune.alone(), "about": ""})
