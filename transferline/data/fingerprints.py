"""Fingerprints of every text that a model was trained or selected on, kept in its checkpoint.

They show years later, without the old data, whether a champion has seen a row of the present test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from transferline.data.prepared_files import read_texts
from transferline.data.split import fingerprint

FILE = "seen.npy"


def write_seen(out: Path, data: Mapping[str, Path], parents: list[Path]) -> int:
    """Write the sorted fingerprints (uint64) of the texts in `data` and of all texts that the parents saw. Returns their number."""
    own = [int(fingerprint(text), 16) for path in data.values() for text in read_texts(path)]
    inherited = [read_seen(parent) for parent in parents]
    everything = np.unique(np.concatenate([np.array(own, dtype=np.uint64), *inherited]))
    np.save(out / FILE, everything, allow_pickle=False)
    return len(everything)


def read_seen(folder: Path) -> np.ndarray:
    """Fingerprints (uint64) in a checkpoint. Empty if the training data are unknown, as for a public base."""
    path = folder / FILE
    return np.load(path, allow_pickle=False) if path.exists() else np.empty(0, dtype=np.uint64)


def unseen(ids: tuple[str, ...], folder: Path) -> np.ndarray:
    """Boolean mask over test ids: True where the checkpoint has not seen that text."""
    return ~np.isin(np.array([int(i, 16) for i in ids], dtype=np.uint64), read_seen(folder))
