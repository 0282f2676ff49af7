"""A loss or gradient that is no number stops a run, at once or one step later."""

from __future__ import annotations

import pytest

from transferline.core.errors import InputError
from transferline.training.divergence_watch import DivergenceWatch


@pytest.mark.parametrize(("loss", "norm"), [(float("nan"), 1.0), (1.0, float("inf")), (float("-inf"), 1.0)])
def test_a_step_without_a_finite_figure_is_named(loss: float, norm: float) -> None:
    watch = DivergenceWatch("tune", ahead=False)
    watch.check(0, 0.1, 1.0, 1.0)
    with pytest.raises(InputError, match=r"tune, step 2: the loss is .* at a learning rate of 0.1"):
        watch.check(1, 0.1, loss, norm)
    watch.settle()


def test_on_a_gpu_a_step_is_checked_one_step_later() -> None:
    watch = DivergenceWatch("tune", ahead=True)
    watch.check(0, 0.1, 1.0, float("nan"))
    with pytest.raises(InputError, match="tune, step 1"):
        watch.check(1, 0.1, 1.0, 1.0)
