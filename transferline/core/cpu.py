"""Faster training on a CPU with unchanged results: thread count, retained memory and cheap dropout.

`Runtime.apply` sets them for the whole process.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from transferline.core.settings import settings

if TYPE_CHECKING:
    import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc's malloc.h
_PADDING = 256 * 2**20  # bytes asked of the system at a time
_DRAWS = 2**16  # a decision of dropout takes 16 random bits
_CLEARLY = 1.3  # times faster, before fewer threads are taken: a neighbour that is busy now need not stay so


@functools.cache
def quickest_threads(half: bool) -> int:
    """Threads that products of a training step's size are fastest with: all of them, or a half, a quarter ... if that is clearly
    faster. A container may see more cores than it is given. OMP_NUM_THREADS, where it is set, decides.
    """
    import torch

    most = torch.get_num_threads()
    if settings().omp_num_threads or most == 1:
        return most
    counts = [most]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    left = torch.ones(2048, 384, dtype=torch.bfloat16 if half else torch.float32)
    right = torch.ones(384, 1536, dtype=left.dtype)
    took = dict.fromkeys(counts, float("inf"))
    for _ in range(5):  # in turn, best of each: another process that computes for a moment disturbs all alike
        for count in counts:
            torch.set_num_threads(count)
            left @ right  # wakes its threads
            start = time.perf_counter()
            left @ right
            took[count] = min(took[count], time.perf_counter() - start)
    chosen = quickest(took)
    torch.set_num_threads(chosen)
    return chosen


def quickest(took: Mapping[int, float]) -> int:
    """The count of threads to take, from seconds by count: fewer than the most only where they are clearly faster."""
    chosen = max(took)
    for count in sorted(took, reverse=True):
        if took[count] * _CLEARLY < took[chosen]:
            chosen = count
    return chosen


def keep_memory() -> bool:
    """Make the C library keep freed memory for the next tensors. Returns False where it cannot.

    The first access to a page is slow, and without this every step would pay for its pages again. The process stays as large as
    its peak.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it; others do not
    if mallopt is None:
        return False
    return all(
        mallopt(option, value) for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PADDING))
    )


def cheap_dropout() -> None:
    """Make dropout on a CPU draw 16 bits per decision instead of a whole number: a quarter of the draws, from the same generator.

    Probabilities are rounded to 1/65,536, and kept values are scaled by the rounded probability, so means stay exact.
    """
    import torch

    current = torch.nn.functional.dropout
    if not hasattr(current, "__wrapped__"):
        torch.nn.functional.dropout = _cheap(current)


def _cheap(native: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    import torch

    @functools.wraps(native)
    def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        cut = round(p * _DRAWS)
        if (
            not training
            or torch.compiler.is_compiling()  # draws are fused there
            or not 0 < cut < _DRAWS
            or inplace
            or input.device.type != "cpu"
            or not input.is_floating_point()
        ):
            return native(input, p, training, inplace)
        drawn = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = drawn[: input.numel()].view(input.shape) >= cut - _DRAWS // 2
        return input * kept.to(input.dtype).mul_(_DRAWS / (_DRAWS - cut))

    return dropout
