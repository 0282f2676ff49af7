"""In-process cache of the input to a model's last linear layer, shared by models with one frozen encoder.

Linear probes on one encoder differ in the last linear layer only. The input to that layer is cached under a hash of the weights,
settings and examples that determine it. It is reused only if the last layer, applied to it, gives the logits of the whole model bit
for bit. Costs are counted in full for every model, as for all shared work.
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

MOST_BYTES = 256 * 2**20  # of cached features; the least recently used ones are dropped first


@dataclass(frozen=True)
class SharedEncoding:
    """Cached features of examples, (n, width), and the cost of computing them."""

    features: np.ndarray
    spent: Spent


_cache: OrderedDict[str, SharedEncoding] = OrderedDict()
_sharing: ContextVar[bool] = ContextVar("sharing", default=False)


@contextmanager
def sharing() -> Iterator[None]:
    """Cache and reuse features for the forward passes inside a block.

    Do not use it around training: every change of the weights gives a new key, so nothing would be reused.
    """
    token = _sharing.set(True)
    try:
        yield
    finally:
        _sharing.reset(token)


def forget() -> None:
    """Empty the cache."""
    _cache.clear()


class Memo:
    """One forward pass over batches of examples. Call `reuse`; if it returns None, compute under `watch` and call `keep`."""

    def __init__(self, model: Any, inputs: dict[str, list], parts: Sequence[Sequence[int]]) -> None:
        self.model, self.parts = model, parts
        self.key = _key(model, inputs) if _sharing.get() else None
        self.before, self.cacheable = spent_so_far(), True
        self.caught: list[np.ndarray] = []

    def reuse(self) -> np.ndarray | None:
        """Logits, (n, labels), from cached features. None where nothing is cached."""
        found = _cache.get(self.key) if self.key else None
        if found is None:
            return None
        assert self.key is not None
        _cache.move_to_end(self.key)
        add_spent(found.spent)
        # calling the layer, not its `forward`, runs the hooks that others have registered on it
        return self._logits(found.features, output_layer(self.model))

    def _logits(self, features: np.ndarray, layer: Any) -> np.ndarray:
        """Apply the last layer to features in the original batches, because products of other shapes round differently."""
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
        """Record the input of the last layer while the model computes."""
        if self.key is None:
            yield
            return
        import torch

        def look(layer: Any, args: Any, output: Any) -> None:
            self.caught.append(args[0].float().cpu().numpy())
            # Decoders' heads get one row per token, and autocast gives bf16: neither is cached.
            self.cacheable = self.cacheable and args[0].ndim == 2 and args[0].dtype == torch.float32

        hook = output_layer(self.model).register_forward_hook(look)
        try:
            yield
        finally:
            hook.remove()

    def keep(self, logits: np.ndarray) -> None:
        """Cache the recorded features, if the last layer reproduces the same logits from them."""
        if self.key is None or not self.cacheable or [len(c) for c in self.caught] != [len(p) for p in self.parts]:
            return
        features = np.zeros((len(logits), self.caught[0].shape[1]), dtype=np.float32)
        for part, seen in zip(self.parts, self.caught, strict=True):
            features[list(part)] = seen
        # `forward`, so that this check runs no hooks. Heads with layers after the last linear one fail it.
        if not np.array_equal(self._logits(features, output_layer(self.model).forward), logits):
            return
        after = spent_so_far()
        _cache[self.key] = SharedEncoding(features, {name: after[name] - value for name, value in self.before.items()})
        while sum(one.features.nbytes for one in _cache.values()) > MOST_BYTES:
            _cache.popitem(last=False)


def _key(model: Any, inputs: dict[str, list]) -> str:
    """Hash of everything that determines the last layer's input: the encoder and the examples."""
    import xxhash

    total = xxhash.xxh3_128(encoder_hash(model).encode())
    for name in sorted(inputs):
        total.update(name.encode())
        for value in inputs[name]:
            total.update(content(value))
    return total.hexdigest()


def encoder_hash(model: Any) -> str:
    """Hash of everything except the examples that determines the last layer's input: weights, settings and device."""
    import torch
    import xxhash

    total = xxhash.xxh3_128()
    how = (counting(), type(model).__name__, torch.get_float32_matmul_precision(), str(next(model.parameters()).device))
    # names of labels and private entries do not change the features
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
    """The bytes of one example's value of an input. Arrays are taken in full, because `repr` shortens long ones."""
    if isinstance(value, tuple):
        return b"".join(np.ascontiguousarray(part).tobytes() for part in value)
    return repr(value).encode()
