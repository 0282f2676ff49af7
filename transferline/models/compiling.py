"""Layers compiled for training on a GPU: fewer, larger kernels, after minutes of compiling. On a CPU they are slower than written.

Layer by layer, as torch's guide to regional compilation has it: all layers of a stack share what was compiled for the first, and
whatever lies around them (heads, losses, shards) stays as it is written. Lengths vary from batch to batch, so they are compiled as
unknown. What is validated and measured runs as written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transferline.models.heads import layers_of


def compile_layers(model: Any) -> None:
    """Compile the layers of a model in place; what is compiled already stays so."""
    for layer in layers_of(model):
        if layer._compiled_call_impl is None:
            layer.compile(dynamic=True)


def uncompile(model: Any) -> None:
    """Let the layers run as they are written again."""
    for layer in layers_of(model):
        layer._compiled_call_impl = None


@contextmanager
def as_written() -> Iterator[None]:
    """Run what is compiled as it is written, for the length of a block."""
    import torch

    with torch.compiler.set_stance("force_eager"):
        yield
