"""Score the rows of a file or folder with a registered model. Used by `predict` and `watch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError
from transferline.core.project import root, store
from transferline.core.runtime import Runtime
from transferline.data.declarations import Read
from transferline.data.input_form import InputForm
from transferline.data.read import Row, read_rows
from transferline.inference.text_scoring import Scored, score_texts
from transferline.tasks.registering import bring_back, form_of
from transferline.tasks.support.lineage import find_version

SHOWN = 10  # blank lines that are named
_LINE_BY_LINE = (".txt", ".jsonl")  # formats whose row numbers are line numbers


@dataclass(frozen=True)
class RegisteredModel:
    """A registered version, the folder of its checkpoint, and its input form."""

    version: str
    folder: Path
    form: InputForm


def find_model(model: str) -> RegisteredModel:
    """The version that MODEL, MODEL@ALIAS or MODEL@VERSION means. Its checkpoint is restored if the store lacks it."""
    version = find_version(model)
    folder = store() / bring_back(version)
    return RegisteredModel(str(version.version), folder, form_of(version, folder))


def read_records(
    source: str, form: InputForm, text: str = "text", pair: str = "", mend: str = ""
) -> tuple[list[Row], list[dict[str, Any]]]:
    """Rows of a file or folder, and the record of each, in order.

    `text` and `pair` name the columns. `mend` is the advice where a model of pairs gets no second column. Raises InputError that
    names the rows that cannot be read.
    """
    place = (root() / source).resolve()  # an absolute `source` stays as it is
    if not place.exists():
        raise InputError(place, "there is no such file or folder", "Give a .csv, .tsv, .jsonl, .parquet or .txt")
    form.check_columns(place, bool(pair), mend)
    rows = list(read_rows(place, Read(first_column=form.first_column)))
    return rows, form.records(rows, text, pair)


def blank_lines(rows: Sequence[Row]) -> str:
    """A sentence about lines without a row, in files of one row a line. Empty where there are none."""
    lines: dict[str, set[int]] = {}
    for row in rows:
        if Path(row.file).suffix.lower() in _LINE_BY_LINE:
            lines.setdefault(row.file, set()).add(row.number)
    gaps = [f"{Path(f).name}, line {n}" for f, some in lines.items() for n in range(1, max(some)) if n not in some]
    if not gaps:
        return ""
    return f"{len(gaps)} blank lines have no row: {'; '.join(gaps[:SHOWN])}" + ("; ..." if len(gaps) > SHOWN else "")


def score(model: RegisteredModel, records: Sequence[dict[str, Any]], device: str = "auto", look: bool = True) -> Scored:
    """Scores of records, in order."""
    runtime = Runtime.model_validate({"device": device}).resolve()
    return score_texts(model.folder, records, runtime, look)
