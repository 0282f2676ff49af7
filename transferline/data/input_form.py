"""The input form of a target: how a raw row becomes the record that a model reads.

`prepare` applies it to labelled rows. A registered version keeps it (input_form.json), so that `predict`, `watch`, `audit` and the
served model apply the same form to raw input. Truncation is a setting of the model's tokenizer (models/tokenization.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from transferline.core.errors import InputError
from transferline.core.problem import TargetKind
from transferline.data.declarations import TargetSpec
from transferline.data.feature_matrix import read_row
from transferline.data.labels import words_form
from transferline.data.read import Row, checked, text_of

FILE = "input_form.json"
INPUTS = ("text", "pair", "features", "words")
"""Fields of a record that a model reads."""
SHOWN = 10  # rows that an error about many rows names


@dataclass(frozen=True)
class InputForm:
    """Settings that turn a raw row into a record."""

    task: TargetKind
    html: bool = False
    """<br> and <p> are replaced by white space"""
    pair: bool = False
    """the model reads two texts"""
    features: int | None = None
    """columns of the feature matrix, where rows are numbers"""
    lists: Literal["refuse", "parse"] = "refuse"
    """what to do with a list of words that was written as a text"""
    first_column: int | None = None
    """number of the first column of svmlight files"""

    @classmethod
    def of(cls, spec: TargetSpec, first_column: int | None = None) -> InputForm:
        """The input form that a target declares. `first_column` is that of its files (`first_column_of` in read.py)."""
        lists = spec.lists if spec.task == "tokens" else "refuse"
        return cls(spec.task, spec.html, spec.pair is not None, spec.features, lists, first_column)

    def record(self, row: Row, text: str = "text", pair: str | None = "pair") -> dict[str, Any]:
        """The input fields of a row. Raises InputError with file, row and column if one cannot be read.

        `text` and `pair` name the columns. `pair` is read only if the model reads two texts.
        """
        words = checked(row, text, partial(words_form, lists=self.lists)) if self.task == "tokens" else ()
        made: dict[str, Any] = {"text": " ".join(words) if words else text_of(row, text, self.html)}
        if self.pair and pair:
            made["pair"] = text_of(row, pair, self.html)
        if self.features is not None:
            read_row(made["text"], self.features, row.where)
            made["features"] = self.features
        return {**made, "words": list(words)} if words else made

    def records(self, rows: Sequence[Row], text: str = "text", pair: str | None = "pair") -> list[dict[str, Any]]:
        """The input fields of all rows, in order. Raises one InputError that names the rows that cannot be read."""
        made, wrong = [], []
        for row in rows:
            try:
                made.append(self.record(row, text, pair))
            except InputError as error:
                wrong.append((row, error))
        if len(wrong) > 1:
            first = wrong[0][1]
            named = ", ".join(row.where for row, _ in wrong[:SHOWN]) + (", ..." if len(wrong) > SHOWN else "")
            what = f"{first.what} ({len(wrong)} of {len(rows)} rows cannot be read: {named})"
            raise InputError(wrong[0][0].where, what, first.mend)
        if wrong:
            raise wrong[0][1]
        return made

    def check_columns(self, where: object, second: bool, mend: str) -> None:
        """Raise InputError if a model of pairs gets one text, or a model of single texts gets two."""
        if self.pair and not second:
            raise InputError(where, "the model reads two texts, and the second is missing", mend)
        if second and not self.pair:
            reads = "rows of a feature matrix" if self.features is not None else "one text"
            raise InputError(where, f"the model reads {reads}, and a second text is given", "Leave out the second text")

    def dump(self) -> str:
        """The settings as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> InputForm:
        """The form that `dump` wrote. Raises InputError on settings that this release does not know."""
        values = json.loads(text)
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            mend = "Use the release of transferline that registered the model"
            raise InputError(FILE, f"unknown settings {unknown}", mend)
        return cls(**values)

    @classmethod
    def load(cls, folder: Path) -> InputForm | None:
        """The form in a model's folder. None for models that were registered before the form was saved."""
        file = folder / FILE
        return cls.parse(file.read_text(encoding="utf-8")) if file.exists() else None


def inputs_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The input fields of a prepared record, without its id and label."""
    return {name: record[name] for name in INPUTS if name in record}
