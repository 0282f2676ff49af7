"""Features of labelled examples, each read by a frozen encoder once: kept for every draw of labels, budget and head.

They lie on a shelf (shelf.py) under a hash of all that they come from but the text: weights, settings, how products are computed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transfer.compute import add_spent, spent_so_far
from transfer.encodings import encoder_hash
from transfer.heads import output_layer
from transfer.shelf import Shelf
from transfer.targets import Target
from transfer.targets.target import Examples
from transfer.targets.tokens import Tokens


def features_of(model: Any, target: Target, examples: Examples, cache: Path | None) -> np.ndarray:
    """What the last layer of a model receives for examples, fp64 of shape (examples, width): for tags (words, width).

    Kept under `cache`, where that is given; a kept row is the same as a computed one up to the rounding of its batch.
    """
    if cache is None:
        return target.features(model, examples)
    shelf = Shelf(cache / f"features-{encoder_hash(model)}", output_layer(model).in_features, np.float32)
    names = [examples.name(i) for i in range(len(examples))]
    before = set(shelf.missing(names))
    if before:
        with shelf.open():
            _fill(shelf, names, model, target, examples)
    reused = float(sum(length for i, length in enumerate(examples.lengths) if i not in before))
    add_spent({"tokens": reused, "flops": shelf.cost * reused})  # a model's cost is what it takes alone
    return np.concatenate([shelf.row(name) for name in names]).astype(np.float64)


def _fill(shelf: Shelf, names: list[str], model: Any, target: Target, examples: Examples) -> None:
    """Read what is missing; call it within `shelf.open`."""
    wanted = shelf.missing(names)
    if not wanted:
        return
    some = examples.some(wanted)
    before = spent_so_far()["flops"]
    rows = target.features(model, some)
    cost = (spent_so_far()["flops"] - before) / max(1, sum(some.lengths))
    counts = target.words_of(some) if isinstance(target, Tokens) else [1] * len(some)
    parts = np.split(rows, np.cumsum(counts)[:-1])
    shelf.add([(names[i], part) for i, part in zip(wanted, parts, strict=True)], cost or shelf.cost)
