"""Feature matrices with a known relation between source and target, prepared as targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transferline.data.declarations import Share, TargetSpec
from transferline.data.prepare import prepare

SPLITS = ("train", "validation", "test")


def prepare_matrix(root: Path, name: str, points: np.ndarray, y_true: np.ndarray, **spec) -> dict[str, Path]:
    """Prepared splits of rows (n, ...) with labels (n,): role -> file."""
    np.savez(root / f"{name}.npz", X=points, y=y_true)
    share = Share(test=0.3, validation=0.2)
    width = int(np.prod(points.shape[1:]))
    declared = TargetSpec(domain="d", data=f"{name}.npz", split=share, features=width, **spec)
    prepare(name, declared, root, root / name)
    return {split: root / name / f"{split}.jsonl" for split in SPLITS}


def blobs(rows: int, width: int, labels: int, seed: int, apart: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Points around one centre per label, in `width` dimensions. The centres depend on `labels` and `width` alone."""
    centres = np.random.default_rng(99).normal(size=(labels, width)) * apart
    rng = np.random.default_rng(seed)
    y_true = rng.integers(labels, size=rows)
    return (centres[y_true] + rng.normal(size=(rows, width))).round(4), np.array([f"c{i}" for i in y_true])
