"""Rows to labelled examples, with the checks of each kind of task."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from transferline.core.errors import InputError
from transferline.data.declarations import Split, TargetSpec
from transferline.data.input_form import InputForm
from transferline.data.read import Row, normalise
from transferline.data.split import Example, Label

_TAG = re.compile(r"O|[BI]-\S+")


def example_of(row: Row, spec: TargetSpec) -> Example:
    """The example that a row means to a target. Raises InputError with file, row and mend."""
    label = _label_of(row, spec)
    inputs = InputForm.of(spec).record(row, spec.text, spec.pair)
    text, pair, words = inputs["text"], inputs.get("pair"), tuple(inputs.get("words", ()))
    if words and isinstance(label, tuple) and len(words) != len(label):
        what = f"{len(words)} words and {len(label)} tags"
        raise InputError(row.where, what, "Give each word one tag")
    made = Example(text, label, "", row.where, pair, words, spec.task)
    unit = made.content if spec.group is None else f"group {_value(row, spec.group)}"
    slices = tuple((column, str(_value(row, column))) for column in spec.slices)
    return Example(text, label, unit, row.where, pair, words, spec.task, slices, spec.features)


def is_empty(row: Row, spec: TargetSpec) -> bool:
    """Whether a row lacks its text, its second text or its label."""
    columns = [column for column in (spec.text, spec.pair, spec.label) if column]
    return any(column in row.values and not str(row.values[column] or "").strip() for column in columns)


def record_of(example: Example, name: str) -> dict[str, object]:
    """The record of an example in a prepared split. `name` is its id."""
    record: dict[str, object] = {"id": name, "text": example.text}
    if example.pair is not None:
        record["pair"] = example.pair
    if example.features is not None:
        record["features"] = example.features
    if example.words:
        record["words"] = list(example.words)
    if example.slices:
        record["slices"] = dict(example.slices)
    label = list(example.label) if isinstance(example.label, tuple) else example.label
    return {**record, "target" if example.kind == "generation" else "label": label}


def check_labels(name: str, spec: TargetSpec, splits: Mapping[Split, Sequence[Example]]) -> None:
    """Raise InputError on labels that are too few, too rare, or that training never sees."""
    if spec.task == "generation":
        return
    if spec.task == "regression":
        _check_numbers(name, splits)
        return
    counts = Counter(label for rows in splits.values() for example in rows for label in names_of(example))
    for label, count in sorted(counts.items()):
        if count < spec.least:
            what = f"label {label!r} has {count} examples, fewer than {spec.least}"
            raise InputError(f"target {name}", what, "Add examples, merge the label, or lower `least`")
    if len(counts) < (2 if spec.task == "single-label" else 1):
        found = f"there is one label only, {next(iter(counts))!r}" if counts else "no row has a label"
        raise InputError(f"target {name}", found, "A task needs two")
    trained = {label for example in splits["train"] for label in names_of(example)}
    for split in ("validation", "test"):
        for example in splits[split]:
            for label in names_of(example):
                if label not in trained:
                    mend = "Add training examples of it, raise `limit.train`, or drop the row"
                    raise InputError(example.where, f"label {label!r} in {split} is never seen in training", mend)


def names_of(example: Example) -> list[str]:
    """The labels that an example has: one, several, or the types of its spans."""
    if example.kind == "tokens":
        return sorted({tag[2:] for tag in _several(example.label) if tag != "O"})
    return [str(example.label)] if isinstance(example.label, str) else list(_several(example.label))


def _check_numbers(name: str, splits: Mapping[Split, Sequence[Example]]) -> None:
    for split, rows in splits.items():
        if len({example.label for example in rows}) < 2:
            raise InputError(f"target {name}", f"all labels of {split} are one number", "A regression needs more")


def _label_of(row: Row, spec: TargetSpec) -> Label:
    value = _value(row, spec.label)
    raw = "" if value is None else str(value).strip()
    if spec.task == "tokens":
        return _tags_of(row, spec, value)
    if spec.task == "multi-label":
        parts = value if isinstance(value, list) else [part for part in raw.split(spec.separator) if part.strip()]
        return tuple(sorted({_named(row, str(part).strip(), spec) for part in parts}))
    if not raw:
        raise InputError(row.where, f"column {spec.label!r} is empty", "Label the row or drop it")
    if spec.task == "regression":
        return _number_of(row, spec, raw)
    if spec.bins:
        raw = str(sum(_number_of(row, spec, raw) >= edge for edge in spec.bins))
    return normalise(raw, spec.html) if spec.task == "generation" else _named(row, raw, spec)


def _named(row: Row, raw: str, spec: TargetSpec) -> str:
    names = {str(value): label for value, label in spec.labels.items()}
    if names and raw not in names:
        raise InputError(row.where, f"label {raw!r} is not known", f"Known are {sorted(names)}: correct the row")
    return names.get(raw, raw)


def _number_of(row: Row, spec: TargetSpec, raw: str) -> float:
    try:
        number = float(raw)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(row.where, f"{raw!r} in column {spec.label!r} is no number", "Correct the row or drop it")
    return number


def _tags_of(row: Row, spec: TargetSpec, value: object) -> tuple[str, ...]:
    tags = tuple(str(tag) for tag in value) if isinstance(value, list) else tuple(str(value or "").split())
    tags = tuple(
        "I-" + tag[2:] if tag[:2] in ("E-", "L-") else tag for tag in tags
    )  # BIOES and BILOU are BIO with ends
    tags = tuple("B-" + tag[2:] if tag[:2] in ("S-", "U-") else tag for tag in tags)
    wrong = next((tag for tag in tags if not _TAG.fullmatch(tag)), None)
    if wrong is not None:
        raise InputError(row.where, f"{wrong!r} is no tag", "Tags are O, B-type and I-type")
    # an entity that begins with I- (IOB1) is written as B-, so that one scheme is left
    before = ("O", *tags)
    return tuple(
        "B" + tag[1:] if tag[:1] == "I" and last[2:] != tag[2:] else tag
        for last, tag in zip(before, tags, strict=False)
    )


def _value(row: Row, column: str) -> object:
    if column not in row.values:
        mend = f"Its columns are {sorted(row.values)}: name one of them in params.yaml"
        raise InputError(row.file, f"there is no column {column!r}", mend)
    return row.values[column]


def _several(label: Label) -> Iterable[str]:
    return label if isinstance(label, tuple) else ()
