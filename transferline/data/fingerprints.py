"""What a model has seen: fingerprints of every text it was trained or selected on, kept inside its checkpoint.

So it can be said years later, without the old data, whether a champion has met a row of today's test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from transferline.data.prepared_files import read_texts
from transferline.data.split import fingerprint

FILE = "seen.npy"


def write_seen(out: Path, data: Mapping[str, Path], parents: list[Path]) -> int:
    """Write the sorted fingerprints (uint64) of what is in `data` and of what the parents had seen; returns how many."""
    own = [int(fingerprint(text), 16) for path in data.values() for text in read_texts(path)]
    inherited = [read_seen(parent) for parent in parents]
    everything = np.unique(np.concatenate([np.array(own, dtype=np.uint64), *inherited]))
    np.save(out / FILE, everything, allow_pickle=False)
    return len(everything)


def read_seen(folder: Path) -> np.ndarray:
    """Fingerprints (uint64) in a checkpoint; empty where nothing is known, as of a public base."""
    path = folder / FILE
    return np.load(path, allow_pickle=False) if path.exists() else np.empty(0, dtype=np.uint64)


def unseen(ids: tuple[str, ...], folder: Path) -> np.ndarray:
    """Boolean mask over test ids: True where the checkpoint has not seen that text."""
    return ~np.isin(np.array([int(i, 16) for i in ids], dtype=np.uint64), read_seen(folder))
