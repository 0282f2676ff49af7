"""Stop a training run whose loss or gradient is no longer a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from transferline.core.errors import InputError


class DivergenceWatch:
    """Check the loss and the gradient's norm of every step.

    On a GPU a step is checked after the next one has been queued (`ahead`), so that the check does not wait for the device. The
    device copies the figures to the host as soon as it has them. A copy that is asked for later stands behind the next step.
    """

    def __init__(self, name: str, ahead: bool) -> None:
        self._name, self._ahead = name, ahead
        self._pending: tuple[int, float, Callable[[], list[float]]] | None = None

    def check(self, step: int, rate: float, loss: Any, norm: Any) -> None:
        """Check a step, counted from 0, or the one before it. Raises InputError as `settle` does."""
        if self._ahead:
            self.settle()
        self._pending = step, rate, _sent_home(loss, norm)
        if not self._ahead:
            self.settle()

    def settle(self) -> None:
        """Check the last step, if it was not. Raises InputError with stage, step, learning rate and the usual cause."""
        if self._pending is None:
            return
        (step, rate, read), self._pending = self._pending, None
        loss, norm = read()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"the loss is {loss:g} and the norm of the gradient {norm:g} at a learning rate of {rate:g}"
            mend = "Usually the learning rate is too high: try a tenth of it, or a longer warmup. Nothing was saved from this step"
            raise InputError(f"{self._name}, step {step + 1}", what, mend)


def _sent_home(*figures: Any) -> Callable[[], list[float]]:
    """Start to copy scalars from their device. Returns a function that waits for the copy and gives their values."""
    import torch

    on_gpu = [figure for figure in figures if getattr(figure, "is_cuda", False)]
    if len(on_gpu) < len(figures):
        return lambda: [float(figure) for figure in figures]
    here = torch.stack([figure.detach().double() for figure in on_gpu]).to("cpu", non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()

    def read() -> list[float]:
        copied.synchronize()
        return here.tolist()

    return read
