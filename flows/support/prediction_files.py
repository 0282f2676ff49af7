"""The table that `predict` writes: where it may lie, and in which format."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
from prefect.runtime import deployment

from transferline.core.errors import InputError
from transferline.core.project import root

FIRST_COLUMNS = ("file", "row")
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl")


def place_of(output: str, source: str) -> Path:
    """The path of the table to write. Raises InputError before anything is computed where it must not be written.

    A run of a deployment writes inside the project only: people who may start runs must not write elsewhere. An existing file is
    replaced only if it is a table of predictions.
    """
    place = (root() / output).resolve()
    if place.suffix.lower() not in FORMATS:
        raise InputError(f"output {output}", f"{place.suffix or 'no suffix'!r} is no format for tables", _any_of())
    if deployment.id and not place.is_relative_to(root()):
        raise InputError(f"output {output}", "lies outside the project", "Give a path inside the project's folder")
    if place == (root() / source).resolve():
        raise InputError(f"output {output}", "is the file of the texts", "Give another path")
    if place.is_dir() or (place.exists() and not _of_predictions(place)):
        what = "exists, and it is not a table of predictions"
        raise InputError(f"output {output}", what, "Give another path, or move that file away")
    return place


def write_table(table: pd.DataFrame, place: Path) -> None:
    """Write a table in the format of its suffix, atomically: another process may wait for the file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.part")
    match place.suffix.lower():
        case ".csv":
            table.to_csv(part, index=False)
        case ".tsv":
            # tables separated by tabs have no quoting; texts have no tabs and no line breaks once they are normalised
            plain = table.map(lambda value: " ".join(value.split()) if isinstance(value, str) else value)
            plain.to_csv(part, index=False, sep="\t", quoting=csv.QUOTE_NONE, quotechar="\0")
        case ".jsonl":
            table.to_json(part, orient="records", lines=True, force_ascii=False)
        case _:
            table.to_parquet(part, index=False)
    part.replace(place)


def _of_predictions(place: Path) -> bool:
    """Whether a file begins with the columns of a table of predictions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if place.suffix.lower() == ".parquet":
        try:
            return tuple(pq.read_schema(place).names[:2]) == FIRST_COLUMNS
        except (pa.ArrowException, OSError):
            return False
    with place.open("rb") as file:
        start = file.read(20)
    begins = {".csv": b"file,row,", ".tsv": b"file\trow\t", ".jsonl": b'{"file":'}
    return start.startswith(begins[place.suffix.lower()])


def _any_of() -> str:
    return f"End it in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
