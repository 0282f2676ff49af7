"""Cost of a stage: tokens, floating-point operations, seconds, memory. Recorded beside a checkpoint, never hashed.

FLOPs are counted, not estimated. torch's counter observes the first batch and the first batch of every epoch, because the set of
frozen layers may change there. Its count per token stands for the batches until the next observation. A multiplication and an
addition are two operations (Kaplan et al. 2020, section 2.1). Only matrix products, convolutions and attention count; they are
all but a few per cent. Tokens are real ones. Padding is computed too, so its FLOPs are part of the count per token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar

MEMORY_EVERY = 0.2  # seconds between two looks at the process's memory

Spent = dict[str, float]
"""tokens, flops, seconds"""


@dataclass
class Meter:
    """Cost of one stage so far, and the validation scores with the cost at which each was reached."""

    counting: bool = True
    tokens: float = 0.0
    flops: float = 0.0
    earlier: float = 0.0  # seconds of attempts that were killed, as far as their saved states go
    start: float = field(default_factory=time.monotonic)
    peak_bytes: float = 0.0
    curve: list[Spent] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.earlier + time.monotonic() - self.start

    def spent(self) -> Spent:
        return {"tokens": self.tokens, "flops": self.flops, "seconds": self.seconds}

    def cost(self) -> dict[str, Any]:
        """For a lineage: tokens, flops, seconds, peak_bytes, and the curve of validation scores."""
        return {**self.spent(), "peak_bytes": self.peak_bytes, "curve": self.curve}


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(device: str = "cpu", counting: bool = True) -> Iterator[Meter]:
    """Meter everything that a block computes. Use `counting=False` where the block itself is timed."""
    meter = Meter(counting)
    token = _meter.set(meter)
    try:
        with _watched_memory(meter, device):
            yield meter
    finally:
        _meter.reset(token)


def counting() -> bool:
    """Whether FLOPs are counted at present."""
    meter = _meter.get()
    return meter is not None and meter.counting


def spent_so_far() -> Spent:
    """Readings of the present meter, or zeros without one."""
    meter = _meter.get()
    return meter.spent() if meter else {"tokens": 0.0, "flops": 0.0, "seconds": 0.0}


def add_spent(spent: Mapping[str, float]) -> None:
    """Add the cost of an earlier, killed attempt, up to the state from which training resumes."""
    meter = _meter.get()
    if meter is not None:
        meter.tokens += spent.get("tokens", 0.0)
        meter.flops += spent.get("flops", 0.0)
        meter.earlier += spent.get("seconds", 0.0)


def remember(row: Mapping[str, float]) -> None:
    """Keep a validation score together with the cost at which it was reached."""
    meter = _meter.get()
    if meter is not None:
        meter.curve.append(dict(row))


class Gauge:
    """FLOPs of one kind of batch, counted on request and scaled by tokens in between.

    This process computes one of `shares` shares. Batches are counted within the context `written`, because torch's counter does
    not see compiled code.
    """

    def __init__(self, shares: int = 1, written: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self.shares, self.written = shares, written
        self.per_token: float | None = None

    @contextmanager
    def count(self, tokens: int, afresh: bool = False) -> Iterator[None]:
        """Meter a batch of so many tokens."""
        meter = _meter.get()
        if meter is None or not counting():
            yield
            return
        if afresh or self.per_token is None:
            from torch.utils.flop_counter import FlopCounterMode

            counter = FlopCounterMode(display=False, custom_mapping=recurrent_products())
            counter.mod_tracker = _OneModule()  # type: ignore[assignment]
            with self.written(), counter:
                yield
            self.per_token = self.shares * counter.get_total_flops() / max(1, tokens)
        else:
            yield
        meter.tokens += tokens
        meter.flops += self.per_token * tokens


class _OneModule:
    """Count all operations together. torch's counter by modules fails on modules that are called with a parameter (DeBERTa)."""

    parents: ClassVar[set[str]] = {"Global"}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def recurrent_products() -> dict[Any, Any]:
    """What torch's counter lacks: the matrix products inside the fused LSTMs of CPUs and of cuDNN."""
    import torch

    def products(tokens: Any, *weights: Any, times: int = 2) -> int:
        shapes = [shape for group in weights for shape in (group if isinstance(group, list) else [group])]
        return times * tokens[0] * tokens[1] * sum(shape[0] * shape[1] for shape in shapes if len(shape) == 2)

    def fused(tokens: Any, ih: Any, hh: Any, *_: Any, **__: Any) -> int:
        return products(tokens, ih, hh)

    def fused_back(tokens: Any, ih: Any, hh: Any, *_: Any, **__: Any) -> int:
        return products(tokens, ih, hh, times=4)

    def whole(tokens: Any, _: Any, weights: Any, *__: Any, **___: Any) -> int:
        return products(tokens, list(weights))

    def cudnn(tokens: Any, weights: Any, *_: Any, **__: Any) -> int:
        return products(tokens, list(weights))

    def cudnn_back(tokens: Any, weights: Any, *_: Any, **__: Any) -> int:
        return products(tokens, list(weights), times=4)

    aten = torch.ops.aten
    return {
        aten.mkldnn_rnn_layer: fused,
        aten.mkldnn_rnn_layer_backward: fused_back,
        aten.lstm: whole,
        aten._cudnn_rnn: cudnn,
        aten._cudnn_rnn_backward: cudnn_back,
    }


@contextmanager
def _watched_memory(meter: Meter, device: str) -> Iterator[None]:
    """Peak memory: of the device if it has its own, else of this process, sampled at intervals."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        yield
        meter.peak_bytes = float(torch.cuda.max_memory_allocated())
        return
    import psutil

    process, done = psutil.Process(), threading.Event()

    def look() -> None:
        while True:
            meter.peak_bytes = max(meter.peak_bytes, float(process.memory_info().rss))
            if done.wait(MEMORY_EVERY):
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
