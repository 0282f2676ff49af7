"""Rows to labelled examples."""

from __future__ import annotations

from transferline.core.errors import InputError
from transferline.data.declarations import TargetSpec
from transferline.data.input_form import InputForm
from transferline.data.labels import label_of, spellings_of
from transferline.data.prepared_files import content_of
from transferline.data.read import Row, checked
from transferline.data.split import Example
from transferline.data.values import category_form, is_missing


def example_of(row: Row, spec: TargetSpec) -> Example:
    """The example that a row means to a target. Raises InputError with file, row and mend."""
    label = label_of(row, spec)
    inputs = InputForm.of(spec).record(row, spec.text, spec.pair)
    text, pair, words = inputs["text"], inputs.get("pair"), tuple(inputs.get("words", ()))
    if words and isinstance(label, tuple) and len(words) != len(label):
        what = f"{len(words)} words and {len(label)} tags"
        raise InputError(row.where, what, "Give each word one tag")
    group = _category(row, spec.group) if spec.group else None
    return Example(
        text,
        label,
        # a row without a group is a group of its own, where `checks.group_holes` lets it pass
        f"group {group}" if group else _unit(text, pair),
        row.where,
        pair,
        words,
        spec.task,
        slices=tuple((column, _category(row, column)) for column in spec.slices),
        features=spec.features,
        group=group,
        spellings=spellings_of(row, spec),
    )


def _unit(text: str, pair: str | None) -> str:
    """The content of a row, whichever text of a pair comes first, so that a pair and its mirror go to one split."""
    return content_of(text) if pair is None else content_of(*sorted((text, pair)))


def _category(row: Row, column: str) -> str:
    """The form of a category, empty where the row lacks it. `prepare` checks that every file has the column."""
    return checked(row, column, category_form) if column in row.values else ""


def is_empty(row: Row, spec: TargetSpec) -> bool:
    """Whether a row lacks its text, its second text or its label. 0, False and an empty list are values."""
    columns = [column for column in (spec.text, spec.pair, spec.label) if column]
    return any(is_missing(row.values.get(column)) for column in columns)


def columns_of(spec: TargetSpec) -> list[str]:
    """The columns that every file of a target must have."""
    return [column for column in (spec.text, spec.pair, spec.label, spec.group, *spec.slices) if column]


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
