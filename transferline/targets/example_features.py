"""Features of labelled examples, each read by a frozen encoder once: kept for every draw of labels, budget and head.

They lie on a shelf (shelf.py) under a hash of all that they come from but the text: weights, settings, how products are computed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.array_store import Shelf
from transferline.models.encodings import encoder_hash
from transferline.models.heads import output_layer
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.targets.tokens import Tokens


def features_of(model: Any, target: Target, examples: Examples, cache: Path | None) -> np.ndarray:
    """Inputs of a model's last layer for examples, fp64 of shape (examples, width); for tags (words, width).

    Rows are cached under `cache` if it is given. A cached row equals a computed one up to the rounding of its batch.
    """
    if cache is None:
        return target.features(model, examples)

    def make(wanted: list[int]) -> list[np.ndarray]:
        some = examples.some(wanted)
        counts = target.words_of(some) if isinstance(target, Tokens) else [1] * len(some)
        return np.split(target.features(model, some), np.cumsum(counts)[:-1])

    shelf = Shelf(cache / f"features-{encoder_hash(model)}", output_layer(model).in_features, np.float32)
    names = [examples.name(i) for i in range(len(examples))]
    shelf.fill(names, examples.lengths, make)
    return np.concatenate([shelf.row(name) for name in names]).astype(np.float64)
