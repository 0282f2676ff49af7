"""Recipe: what params.yaml says about how a model is made."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from transfer.methods import Adaptation, Tuning
from transfer.problem import Setting


class Recipe(BaseModel):
    """base -> adapt* -> tune."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base: str
    """name of a base in params.yaml"""
    adapt: tuple[Adaptation, ...] = ()
    """self-supervised stages on the domain's text, or the task's own, in order"""
    tune: Tuning
    """how the model learns the target"""
    about: str = ""
    setting: Setting | None = None
    """declared where it is known better than it can be derived"""
