"""Soft sharing: an encoder for each task, and a pull that keeps them near each other.

Duong, Cohn, Bird & Cook, "Low Resource Dependency Parsing" (2015), section 3: the squared distance between the parameters of two
tasks' networks is a penalty. As with L2-SP the pull is decoupled from the loss, for Adam would undo a penalty's size: after
each step every encoder takes the share `rate x pull` of the way to the mean of all. No pull leaves the tasks alone; a huge
one makes the encoders one.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from transferline.methods.multitask.joint import Multitask, MultitaskLearner
from transferline.methods.multitask.weighting import Fixed


class SoftSharing(Multitask):
    """Learn the target and other tasks at once on encoders that are pulled together."""

    source: ClassVar[str] = "Duong et al. 2015, section 3"

    method: Literal["soft-sharing"] = "soft-sharing"
    pull: Annotated[float, Field(ge=0)] = 1000.0
    """strength; times the rate it is the share of the way to the mean that each step takes"""
    weighting: Fixed = Fixed(method="fixed")
    """weights of the tasks; there is nothing shared whose gradients could be put together otherwise"""

    def learns_as(self) -> type[MultitaskLearner]:
        return SoftLearner


class SoftLearner(MultitaskLearner):
    """Several encoders of one shape, pulled towards their mean after each step."""

    def after_step(self, rate: float) -> None:
        import torch

        method = self.method
        assert isinstance(method, SoftSharing)
        share = min(1.0, rate * method.pull)
        if share == 0.0:
            return
        encoders = [dict(part.model.base_model.named_parameters()) for part in self.parts]
        with torch.no_grad():
            for name, parameter in encoders[0].items():
                alike = [one[name] for one in encoders if name in one and one[name].shape == parameter.shape]
                if parameter.requires_grad and len(alike) > 1:
                    mean = torch.stack([one.detach() for one in alike]).mean(dim=0)
                    for one in alike:
                        one.lerp_(mean, share)
