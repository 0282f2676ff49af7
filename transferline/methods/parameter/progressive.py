"""Progressive networks: freeze the source column, and train a new column beside it with lateral connections.

Rusu et al. (2016). The network is in models/networks/progressive_network.py. Frozen weights cannot be forgotten, but the model is
larger and needs our code to be served.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import Backward, Prior, Size, StepTexts
from transferline.core.problem import Ability, TargetKind
from transferline.core.stage import Work
from transferline.methods.parameter.tuning import FineTuning
from transferline.targets import Target
from transferline.targets.sequence import SequenceTarget
from transferline.training.learner import Schedule


class Progressive(FineTuning):
    """Train a narrow new column beside the frozen source column."""

    source: ClassVar[str] = "Rusu et al. 2016, section 2"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")
    ability: ClassVar[Ability | None] = "encode"
    prior: ClassVar[Prior] = Prior(below_full=0.03)

    method: Literal["progressive"] = "progressive"
    width: Annotated[int, Field(ge=4, multiple_of=4)] = 64
    """hidden width of the new column"""
    schedule: Schedule = Schedule(batch_size=16, learning_rate=1e-3)

    def network(self, size: Size, tokens: StepTexts) -> Size:
        return replace(size, weights=size.weights + self._column(size), width=size.width + self.width)

    def backward(self, size: Size, epoch: int) -> Backward:
        return Backward(self._column(size) / size.weights, self.width / size.width)

    def _column(self, size: Size) -> float:
        """Weights of the new column: its layers, and a lateral connection into each of them and into the first."""
        source = size.width
        lateral = (size.layers + 1) * (source * self.width + self.width**2)
        return lateral + size.layers * 12 * self.width**2

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        import torch

        from transferline.models.networks.progressive_network import (
            ProgressiveConfig,
            ProgressiveForSequenceClassification,
        )
        from transferline.models.weights import load_model, name_outputs

        assert isinstance(target, SequenceTarget)
        column, _ = load_model("AutoModel", work.needs_parent(), work.seed)
        config = ProgressiveConfig(column=column.config.to_dict(), width=self.width, problem_type=target.problem)
        name_outputs(config, target.labels)
        torch.manual_seed(work.seed)
        model = ProgressiveForSequenceClassification(config)
        if pretrained:
            model.source.load_state_dict(column.state_dict())
        for parameter in model.source.parameters():
            parameter.requires_grad_(False)
        return model
