"""Recipe: what params.yaml says about how a model is made."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from transferline.core.problem import Setting
from transferline.core.stage import Stage
from transferline.recipes.registry import Adaptation, Instances, Tuning

OTHER = "other"  # as a lender: whichever source target a comparison puts there


class Recipe(BaseModel):
    """base -> adapt* -> instances? -> tune."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base: str
    """name of a base in params.yaml"""
    adapt: tuple[Adaptation, ...] = ()
    """stages on the domain's text, the task's own, or other tasks' labelled examples, in order"""
    instances: Instances | None = None
    """source examples that learn beside the target's own, weighed; any method of `tune` takes them"""
    tune: Tuning
    """how the model learns the target"""
    about: str = ""
    setting: Setting | None = None
    """declared where it is known better than it can be derived"""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Everything after the base, in order."""
        return (*self.adapt, *((self.instances,) if self.instances else ()), self.tune)

    def source_task_names(self) -> tuple[str, ...]:
        """The source targets that its stages learn from, each once."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.source_task_names()))

    def alone(self) -> Recipe:
        """The same tuning without adaptation and without source examples: what transfer is compared with."""
        return self.model_copy(update={"adapt": (), "instances": None, "tune": self.tune.alone(), "about": ""})
