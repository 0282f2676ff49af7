"""LP-FT: fit a linear probe first, then fine-tune everything from there.

Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution" (2022), section 3.3: gradients
through a random head distort the encoder's features. The first phase is the same as the method `probe`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import Size, StepTexts
from transferline.core.problem import TargetKind
from transferline.methods.parameter.linear import Solution
from transferline.methods.parameter.probe import best_head, install
from transferline.methods.parameter.tuning import FineTuning
from transferline.targets import Target
from transferline.targets.regression import Regression
from transferline.targets.target import Examples


class LPFT(FineTuning):
    """Fit the head on frozen features, then fine-tune everything."""

    source: ClassVar[str] = "Kumar et al. 2022, section 3.3"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression", "tokens")

    method: Literal["lp-ft"] = "lp-ft"
    Cs: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    """values of the probe's inverse regularisation strength C to try; validation chooses"""
    head_learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    """peak learning rate of the head; low, because the probe has fitted the head already"""

    def before(self, size: Size, tokens: StepTexts) -> float:
        """FLOPs of the features that the probe is fitted on."""
        return size.forward(tokens["train"]) + size.forward(tokens["validation"])

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        model.eval()
        solution = best_head(model, target, train, validation, self.Cs)
        install(model, _in_units(solution, target))
        return model


def _in_units(solution: Solution, target: Target) -> Solution:
    """A regression solution rescaled to standardised labels, which the head is trained on."""
    if not isinstance(target, Regression):
        return solution
    weights, bias = solution.weights / target.std, (solution.bias - target.middle) / target.std
    return Solution(solution.C, solution.score, weights, bias)
