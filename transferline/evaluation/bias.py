"""Bias audit by paired sentences: two texts that differ only in a group of people, and the difference in the predictions.

After Nangia et al., "CrowS-Pairs" (2020), section 4, whose pairs ask a language model which sentence is likelier. Here a tuned
model predicts the target's labels for both. A prediction that depends on the group is counted (counterfactual fairness by
substitution: Garg et al. 2019, section 3). The audit describes a model. It gates nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferline.core.errors import InputError
from transferline.data.declarations import AuditSpec
from transferline.data.input_form import InputForm
from transferline.data.read import Row, checked, read_rows, text_of
from transferline.data.values import label_form
from transferline.evaluation.significance import Interval

MASK = "[MASK]"
RESAMPLES = 2000
ALL = "all pairs"


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in a group of people, and the topic of the difference."""

    kind: str
    first: str
    second: str


@dataclass(frozen=True)
class Bias:
    """Differences between a model's predictions on the two sides of pairs."""

    pairs: int
    shift: Interval
    """mean absolute change of the answer: total variation of the probabilities, or of a number the absolute difference"""
    flips: Interval
    """share of the pairs whose likeliest label changes"""
    direction: Interval
    """mean signed change, first minus second, of the last label's probability or of the number"""


def read_pairs(spec: AuditSpec, root: Path, form: InputForm) -> list[Pair]:
    """The pairs of an audit in a model's input form. Raises InputError on a row that cannot be read."""
    made = []
    for row in read_rows(root / spec.data, spec.read):
        columns = [column for column in (spec.first, spec.second, spec.template) if column]
        texts = {column: text_of(row, column) for column in columns}  # raises on what is no text
        # the sides are filled in as the file has them: the form is applied once, to the whole sentence
        raw = {column: str(row.values[column]).strip() for column in columns}
        sides = [raw[spec.first], raw[spec.second]]
        if spec.template is not None:
            if MASK not in texts[spec.template]:
                raise InputError(
                    row.where, f"column {spec.template!r} has no {MASK}", "Mark the place that is filled in"
                )
            sides = [raw[spec.template].replace(MASK, side) for side in sides]
        first, second = (form.record(Row({"text": side}, row.file, row.number))["text"] for side in sides)
        made.append(Pair(checked(row, spec.kind, label_form) if spec.kind else ALL, first, second))
    return made


def measure_bias(pairs: Sequence[Pair], first: np.ndarray, second: np.ndarray) -> dict[str, Bias]:
    """Bias over all pairs and over each topic. Predictions are (n, labels) or numbers (n,), in the order of the pairs."""
    kinds = np.array([pair.kind for pair in pairs])
    found = {ALL: _bias(first, second)}
    for kind in sorted(set(kinds.tolist()) - {ALL}):
        found[kind] = _bias(first[kinds == kind], second[kinds == kind])
    return found


def _bias(first: np.ndarray, second: np.ndarray) -> Bias:
    if first.ndim == 1:
        change, flipped, signed = np.abs(first - second), np.zeros(len(first)), first - second
    else:
        change = np.abs(first - second).sum(axis=1) / 2
        flipped = (first.argmax(axis=1) != second.argmax(axis=1)).astype(float)
        signed = first[:, -1] - second[:, -1]
    return Bias(len(first), *(mean_of(values) for values in (change, flipped, signed)))


def mean_of(values: np.ndarray, seed: int = 0) -> Interval:
    """A mean with its 95 % interval over the rows, by bootstrap."""
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))
