"""Encodings that several models share: a frozen encoder reads a file once in a process, however many heads are put on it.

A probe's test predictions differ from another probe's in the last linear layer only. What that layer receives is kept under a
hash of everything it comes from: weights, settings and inputs. It is used where the layer's answer to it is, bit for bit, what the
whole model said. Costs are counted in full, as for every work that models share.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferline.core.cost import Spent, add_spent, counting, spent_so_far
from transferline.models.heads import output_layer

MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class SharedEncoding:
    """Features of some examples in their order, (n, width), and what they had cost."""

    features: np.ndarray
    spent: Spent


_kept: OrderedDict[str, SharedEncoding] = OrderedDict()
_sharing: ContextVar[bool] = ContextVar("sharing", default=False)


@contextmanager
def sharing() -> Iterator[None]:
    """Keep and reuse what the last layer receives, for forward passes in a block; not where weights are about to change."""
    token = _sharing.set(True)
    try:
        yield
    finally:
        _sharing.reset(token)


def forget() -> None:
    """Keep nothing of what was read so far."""
    _kept.clear()


class Memo:
    """One forward pass over batches of examples: `reuse` it, or `watch` it and `keep` it."""

    def __init__(self, model: Any, inputs: dict[str, list], parts: Sequence[Sequence[int]]) -> None:
        self.model, self.parts = model, parts
        self.key = _key(model, inputs) if _sharing.get() else None
        self.before, self.whole = spent_so_far(), True
        self.caught: list[np.ndarray] = []

    def reuse(self) -> np.ndarray | None:
        """Logits of the last layer over kept features, (n, labels); None where there are none."""
        found = _kept.get(self.key) if self.key else None
        if found is None:
            return None
        assert self.key is not None
        _kept.move_to_end(self.key)
        add_spent(found.spent)
        return self._logits(found.features, output_layer(self.model))  # called, so that whoever listens to it hears it

    def _logits(self, features: np.ndarray, layer: Any) -> np.ndarray:
        """What the last layer makes of features, in the same batches: products of other shapes round differently."""
        import torch

        last = output_layer(self.model)
        logits = np.zeros((len(features), last.out_features), dtype=np.float32)
        with torch.inference_mode():
            for part in self.parts:
                some = torch.from_numpy(features[list(part)]).to(last.weight.device)
                logits[list(part)] = layer(some).float().cpu().numpy()
        return logits

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note what the last layer receives while the model computes."""
        if self.key is None:
            yield
            return
        import torch

        def look(layer: Any, args: Any, output: Any) -> None:
            self.caught.append(args[0].float().cpu().numpy())
            self.whole = self.whole and args[0].ndim == 2 and args[0].dtype == torch.float32

        hook = output_layer(self.model).register_forward_hook(look)
        try:
            yield
        finally:
            hook.remove()

    def keep(self, logits: np.ndarray) -> None:
        """Keep what was watched, if the last layer makes the same logits of it again."""
        if self.key is None or not self.whole or [len(c) for c in self.caught] != [len(p) for p in self.parts]:
            return
        features = np.zeros((len(logits), self.caught[0].shape[1]), dtype=np.float32)
        for part, seen in zip(self.parts, self.caught, strict=True):
            features[list(part)] = seen
        if not np.array_equal(self._logits(features, output_layer(self.model).forward), logits):
            return
        after = spent_so_far()
        _kept[self.key] = SharedEncoding(features, {name: after[name] - value for name, value in self.before.items()})
        while sum(one.features.nbytes for one in _kept.values()) > MOST_BYTES:
            _kept.popitem(last=False)


def _key(model: Any, inputs: dict[str, list]) -> str:
    """Everything that the last layer's input depends on, as one hash."""
    import xxhash

    total = xxhash.xxh3_128(encoder_hash(model).encode())
    for name in sorted(inputs):
        total.update(name.encode())
        for value in inputs[name]:
            total.update(content(value))
    return total.hexdigest()


def encoder_hash(model: Any) -> str:
    """Everything that the last layer's input depends on beside the examples, as one hash."""
    import torch
    import xxhash

    total = xxhash.xxh3_128()
    how = (counting(), type(model).__name__, torch.get_float32_matmul_precision(), str(next(model.parameters()).device))
    named = model.config.to_dict().items()
    settings = sorted((k, str(v)) for k, v in named if "label" not in k and not k.startswith("_"))
    total.update(repr((how, settings)).encode())
    last = output_layer(model)
    skipped = {id(parameter) for parameter in last.parameters()}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if id(tensor) not in skipped:
            total.update(name.encode())
            total.update(np.ascontiguousarray(tensor.detach().float().cpu().numpy()).tobytes())
    return total.hexdigest()


def content(value: Any) -> bytes:
    """One example's part of an input, whole: a long array's repr leaves out its middle."""
    if isinstance(value, tuple):
        return b"".join(np.ascontiguousarray(part).tobytes() for part in value)
    return repr(value).encode()
