"""Compare two methods on slices of the test (by label, length and declared columns) and on single examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from transferline.data.prepared_files import content_of
from transferline.evaluation.paired_intervals import paired_interval
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import Interval, bootstrapped, combine, paired

LEAST_ROWS = 10  # smaller slices are left out: their intervals are too wide
RESAMPLES = 1000


@dataclass(frozen=True)
class Slice:
    """A slice of the test: its criterion, name and size, the mean quality of both methods, and their difference."""

    by: str
    name: str
    rows: int
    one: float
    other: float
    difference: Interval


@dataclass(frozen=True)
class Flip:
    """An example that one of two shipped models predicts better than the other."""

    id: str
    text: str
    y_true: str
    one: str
    other: str


def make_slices(
    one: Sequence[Predictions], other: Sequence[Predictions], records: Mapping[str, Mapping]
) -> list[Slice]:
    """Mean quality of predictions (for labels: accuracy) of both methods on every slice. Each has one model per seed."""
    ids = one[0].ids
    mine, theirs = (np.stack([p.quality for p in side]) for side in (one, other))
    made = []
    for by, name, keep in _parts(one[0], [records[i] for i in ids]):
        if keep.sum() >= LEAST_ROWS and not keep.all():
            made.append(Slice(by, name, int(keep.sum()), *_compare(mine[:, keep], theirs[:, keep])))
    return made


def _compare(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float, Interval]:
    """Means of both qualities, (seeds, rows) each, and their paired difference with its interval."""
    each = mine.mean(axis=0) - theirs.mean(axis=0)
    shares = all(((side >= 0) & (side <= 1)).all() for side in (mine, theirs))
    limits = paired_interval(each) if shares else _resampled(each)  # errors of numbers have no bounds
    per_seed = paired(mine.mean(axis=1), theirs.mean(axis=1))
    return float(mine.mean()), float(theirs.mean()), combine(per_seed, limits, len(each))


def _resampled(each: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    return bootstrapped(np.array([each[rng.integers(0, len(each), len(each))].mean() for _ in range(RESAMPLES)]))


def _parts(made: Predictions, records: Sequence[Mapping]) -> Iterator[tuple[str, str, np.ndarray]]:
    """(criterion, name, boolean mask of rows) of every slice."""
    if made.kind == "single-label":
        for number, label in enumerate(made.labels):
            yield "label", label, np.array(made.y_true) == number
    if made.kind == "multi-label":
        for number, label in enumerate(made.labels):
            yield "label", label, np.array(made.y_true)[:, number]
    if made.kind == "tokens":
        for label in made.labels:
            yield "with", label, np.array([any(tag[2:] == label for tag in row) for row in made.y_true], dtype=bool)
    lengths = np.array([len(content_of(r["text"], r.get("pair")).split()) for r in records])
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    yield "length", f"up to {low:.0f} words", lengths <= low
    yield "length", f"{low:.0f} to {high:.0f} words", (lengths > low) & (lengths <= high)
    yield "length", f"over {high:.0f} words", lengths > high
    columns = sorted({column for record in records for column in record.get("slices", {})})
    for column in columns:
        values = np.array([str(record.get("slices", {}).get(column, "")) for record in records])
        for value in sorted(set(values)):
            yield column, value, values == value


def make_flips(
    one: Predictions, other: Predictions, records: Mapping[str, Mapping], most: int = 6
) -> tuple[list[Flip], list[Flip]]:
    """Examples that the first model predicts better, and examples that the second predicts better; the first `most` by id.

    Ids are hashes, so these are a random sample and not a selection.
    """
    better = one.quality - other.quality
    sides = []
    for sign in (1, -1):
        places = sorted(np.flatnonzero(sign * better > 0), key=lambda i: one.ids[i])[:most]
        sides.append([_flip(one, other, int(i), records) for i in places])
    return sides[0], sides[1]


def _flip(one: Predictions, other: Predictions, i: int, records: Mapping[str, Mapping]) -> Flip:
    record = records[one.ids[i]]
    text = content_of(record["text"], record.get("pair"))
    said = [_say(p, p.predicted[i]) for p in (one, other)]
    return Flip(one.ids[i], text[:240], _say(one, one.y_true[i]), *said)


def _say(made: Predictions, value: object) -> str:
    """A label or prediction as text."""
    if made.kind == "single-label":
        return made.labels[int(value)]  # type: ignore[call-overload]
    if made.kind == "multi-label":
        return "; ".join(made.labels[i] for i in np.flatnonzero(np.asarray(value)))
    if made.kind == "tokens":
        return " ".join(value)  # type: ignore[arg-type]
    return f"{value:.2f}" if made.kind == "regression" else str(value)[:120]
