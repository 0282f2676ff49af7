"""Forgetting: how well an adapted and tuned model still separates the labels of a source task.

A linear probe learns the source's labels on the model's present *features* of the source's training rows and predicts its held-
out rows. The same probe on the base is the reference (McCloskey & Cohen 1989; for fine-tuned encoders Mosbach et al. 2020, "On
the Interplay Between Fine-tuning and Sentence-level Probing", section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferline.core.runtime import Runtime
from transferline.data.prepared_files import read_jsonl, read_texts
from transferline.evaluation.bias import mean_of
from transferline.evaluation.significance import Interval
from transferline.methods.parameter.linear import fit_linear, scaling
from transferline.models.embeddings import embed
from transferline.models.tokenization import TokenizerSettings
from transferline.targets import target_of

MOST = 600  # rows of either side that are asked: the third digit of a score is not worth more


@dataclass(frozen=True)
class Forgotten:
    """A source's score by features before and after, and the difference with its interval over the same rows."""

    before: float
    after: float
    change: Interval


def measure_forgetting(train: Path, held_out: Path, before: Path, after: Path, runtime: Runtime) -> Forgotten | None:
    """Accuracy of a probe on two models; for regression, minus the absolute error in standard deviations. None for other kinds."""
    target = target_of(train)
    if target.name not in ("single-label", "regression"):
        return None
    sides = []
    for model in (before, after):
        sides.append(_right(train, held_out, model, runtime))
    return Forgotten(float(sides[0].mean()), float(sides[1].mean()), mean_of(sides[1] - sides[0]))


def _right(train: Path, held_out: Path, model: Path, runtime: Runtime) -> np.ndarray:
    """1 per row where the probe is right; for regression, minus the absolute error in standard deviations of the label."""
    target = target_of(train)
    points, truths = [], []
    for path in (train, held_out):
        rows = slice(0, None, max(1, -(-len(read_jsonl(path)) // MOST)))
        points.append(embed(model, read_texts(path)[rows], TokenizerSettings(64), runtime).astype(np.float64))
        truths.append(target.truth_of(read_jsonl(path)[rows]))
    scaled = scaling(points[0])
    probe = fit_linear(target.name, 1.0, scaled(points[0]), truths[0])
    said = probe.predict(scaled(points[1]))
    if target.name == "regression":
        return -np.abs(said - truths[1]) / (float(np.std(truths[0])) or 1.0)
    return (said == truths[1]).astype(float)
