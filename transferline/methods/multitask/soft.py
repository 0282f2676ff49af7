"""Soft parameter sharing: one encoder for each task, regularised towards the mean of all encoders.

Duong, Cohn, Bird & Cook, "Low Resource Dependency Parsing" (2015), section 3, penalise the squared distance between the parameters
of two tasks' networks. As in L2-SP, the pull is decoupled from the loss, because Adam normalises the size of a penalty away. After
each step every encoder moves towards the mean by the share `rate x pull` of its distance. A pull of zero trains the tasks
independently. A very large pull makes all encoders equal.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from transferline.methods.multitask.joint import Multitask, MultitaskLearner
from transferline.methods.multitask.weighting import Fixed


class SoftSharing(Multitask):
    """Train the target and source tasks together on encoders that are pulled towards their mean."""

    source: ClassVar[str] = "Duong et al. 2015, section 3"

    method: Literal["soft-sharing"] = "soft-sharing"
    pull: Annotated[float, Field(ge=0)] = 1000.0
    """regularisation strength; each step moves an encoder by the share `rate x pull` of its distance to the mean"""
    weighting: Fixed = Fixed(method="fixed")
    """weights of the tasks; only fixed weights, because the other weightings need shared parameters"""

    def learns_as(self) -> type[MultitaskLearner]:
        return SoftLearner


class SoftLearner(MultitaskLearner):
    """Learner with one encoder per task, pulled towards their mean after each step."""

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
