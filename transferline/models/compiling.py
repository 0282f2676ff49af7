"""Compile transformer layers with torch.compile (GPU only).

Compiling takes minutes and gives fewer, larger kernels. On a CPU compiled layers are slower than eager ones.

Layers are compiled one by one (torch's guide to regional compilation). All layers of a stack share the code that was compiled for
the first one. Heads, losses and shards stay eager. Validation and FLOP counting run eagerly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transferline.models.heads import layers_of


def compile_layers(model: Any) -> None:
    """Compile the layers of a model in place. Layers that are compiled already are left alone."""
    for layer in layers_of(model):
        if layer._compiled_call_impl is None:
            # the first shape is compiled for itself, and the second one for every length: blocks are all equally long
            layer.compile()


def uncompile(model: Any) -> None:
    """Make the layers run eagerly again."""
    for layer in layers_of(model):
        # torch has no public call that undoes `Module.compile`
        layer._compiled_call_impl = None


@contextmanager
def as_written() -> Iterator[None]:
    """Run compiled layers eagerly inside a block.

    A module that is first called under `FlopCounterMode` is marked and never compiled. Under this stance it is not marked.
    """
    import torch

    with torch.compiler.set_stance("force_eager"):
        yield
