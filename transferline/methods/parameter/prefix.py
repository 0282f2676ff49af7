"""Prefix tuning: freeze the weights and train extra keys and values for the attention of every layer.

Li & Liang, "Prefix-Tuning" (2021), section 4, implemented by peft. A prefix acts on every layer, a prompt only on the first. A
prefix cannot be merged into the weights, so the model needs our code to be served.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import FROZEN_WEIGHTS, Backward, Prior, Size, StepTexts
from transferline.core.problem import Ability
from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning, TuningLearner, head_of
from transferline.models.prefix_tuning import save_prefixed, with_prefix
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Schedule


class Prefix(FineTuning):
    """Train a prefix of keys and values for the attention of every layer."""

    source: ClassVar[str] = "Li & Liang 2021, section 4"

    ability: ClassVar[Ability | None] = "prefixes"
    prior: ClassVar[Prior] = Prior(below_full=0.02)

    method: Literal["prefix"] = "prefix"
    tokens: Annotated[int, Field(ge=1)] = 16
    """length of the prefix"""
    schedule: Schedule = Schedule(batch_size=16, learning_rate=5e-3)

    def network(self, size: Size, tokens: StepTexts) -> Size:
        return replace(super().network(size, tokens), keys=self.tokens)

    def backward(self, size: Size, epoch: int) -> Backward:
        return FROZEN_WEIGHTS

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        head = head_of(model, target)
        names = {name for name, parameter in model.named_parameters() if id(parameter) in head}
        wrapper = with_prefix(model, self.tokens)
        # peft freezes the base, the head with it: unfreeze the head
        inner = dict(wrapper.get_base_model().named_parameters())
        for name in names:
            inner[name].requires_grad_(True)
        made = TuningLearner(self, target, wrapper, train, validation)
        made.head = {id(inner[name]) for name in names}
        return made

    def save(self, model: Any, out: Path) -> None:
        save_prefixed(model, out)
