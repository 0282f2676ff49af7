"""Files to rows. Every row knows where it stands, so that an error can name it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from transferline.core.errors import InputError
from transferline.data import feature_matrix
from transferline.data.conll import conll_rows
from transferline.data.declarations import Read
from transferline.data.delimited import SEPARATORS, dialect_of, table_rows
from transferline.data.text_lines import text_lines

_SUFFIXES = (*SEPARATORS, ".jsonl", ".parquet", ".txt", ".conll", *feature_matrix.SUFFIXES)
_NO_DATA = ("readme", "license", "licence")  # names of files that describe the data
_BREAKS = re.compile(r"<br\s*/?>|</?p>", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One row of a table and its place: file and 1-based line (parquet: row) number."""

    values: dict[str, object]
    file: str
    number: int

    @property
    def where(self) -> str:
        return f"{self.file}, row {self.number}"


def read_rows(data: Path, how: Read, say: Callable[[str], None] | None = None) -> Iterator[Row]:
    """The rows of a file, or of the files of a folder in the order of their names, filtered by `how.where`.

    Calls `say` after each file with its name, its number of rows before the filter, and its dialect. Raises InputError
    for a file or row that cannot be read, and for files of a folder that are not read.
    """
    found = False
    for path in _files(data, how):
        count = 0
        for row in _rows_of(path, how):
            count += 1
            for column in how.where:
                if column not in row.values:
                    raise InputError(path, *_no_column(column, row.values))
            if all(str(row.values[column]) in _wanted(values) for column, values in how.where.items()):
                found = True
                yield row
        if say is not None:
            say(f"{path.name}: {count:,} rows{_form_of(path, how)}")
    if not found:
        what = f"no row has {dict(how.where)}" if how.where else "it holds no rows"
        raise InputError(data / (how.file or ""), what, "Check the file, and `read` in params.yaml")


def _wanted(values: object) -> set[str]:
    """The value or values that a row is kept for, as text."""
    return {str(value) for value in values} if isinstance(values, tuple) else {str(values)}


def text_of(row: Row, column: str, html: bool = False) -> str:
    """The normalised text of a row: NFC, white space folded, optionally without HTML line breaks."""
    if column not in row.values:
        raise InputError(row.file, *_no_column(column, row.values))
    text = normalise(str(row.values[column] or ""), html)
    if not text:
        raise InputError(row.where, f"column {column!r} is empty", "Fill it or drop the row")
    return text


def normalise(text: str, html: bool = False) -> str:
    """Normalise to NFC, collapse white space and trim. With `html`, <br> and <p> become spaces too."""
    if html:
        text = _BREAKS.sub(" ", text)
    return " ".join(unicodedata.normalize("NFC", text).split())


def _no_column(column: str, values: dict[str, object]) -> tuple[str, str]:
    return f"there is no column {column!r}", f"Its columns are {sorted(values)}: name one of them in params.yaml"


def _files(data: Path, how: Read) -> list[Path]:
    path = data / how.file if how.file else data
    if path.is_dir():
        files = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
        files = [p for p in files if p.suffix.lower() in _SUFFIXES or not p.name.lower().startswith(_NO_DATA)]
        if not files:
            raise InputError(path, "there is no file to read", f"Put one of {', '.join(_SUFFIXES)} there")
        for one in files:
            if one.is_dir() or one.suffix.lower() not in _SUFFIXES:
                mend = f"Unpack, convert or remove it, or name one file as `file` in `read`. Read are {', '.join(_SUFFIXES)}"
                raise InputError(one, "this entry of the folder is not read", mend)
        return files
    if not path.is_file():
        raise InputError(path, "there is no such file", "Correct `data` or `read` in params.yaml, or fetch the source")
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(path, f"{path.suffix!r} files are not read", f"Convert it to one of {', '.join(_SUFFIXES)}")
    return [path]


def _form_of(path: Path, how: Read) -> str:
    """The dialect of a table, or else nothing."""
    if how.format == "conll":
        return ", CoNLL"
    return f", {dialect_of(path, how)}" if path.suffix.lower() in SEPARATORS else ""


def _rows_of(path: Path, how: Read) -> Iterator[Row]:
    for number, values in _numbered(path, how):
        yield Row(values, str(path), number)


def _numbered(path: Path, how: Read) -> Iterator[tuple[int, dict[str, object]]]:
    suffix = path.suffix.lower()
    if how.format == "conll":
        return conll_rows(path)
    if suffix == ".parquet":
        return _parquet(path)
    if suffix == ".jsonl":
        return _jsonl(path)
    if suffix in (".txt", ".conll"):
        return ((number, {"text": line}) for number, line in text_lines(path) if line.strip())
    if suffix in feature_matrix.SUFFIXES:
        return enumerate(feature_matrix.rows_of_matrix(path, how.arrays), start=1)
    return table_rows(path, how, dialect_of(path, how))


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    decode = json.JSONDecoder(object_pairs_hook=_distinct_keys).decode  # json.loads would make one for each line
    for number, line in text_lines(path):
        if not line.strip():
            continue
        where = f"{path}, row {number}"
        try:
            values = decode(line.strip())
        except json.JSONDecodeError as error:
            raise InputError(where, f"not JSON ({error.msg})", "Mend or drop the line") from error
        except (ValueError, RecursionError) as error:
            raise InputError(where, f"not read as JSON ({error})", "Mend or drop the line") from error
        if not isinstance(values, dict):
            raise InputError(where, "not a JSON object", 'Write {"text": ..., "label": ...}')
        yield number, values


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"one of the keys {[key for key, _ in pairs]} stands twice")
    return values


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    import pyarrow
    import pyarrow.parquet as parquet

    number = 0
    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise InputError(path, f"two columns have one name, of {names}", "Rename one")
        for batch in file.iter_batches(batch_size=4096):
            for values in batch.to_pylist():
                number += 1
                yield number, values
    except (pyarrow.ArrowException, OSError) as error:
        where = f"{path}, after row {number}"
        raise InputError(where, f"the file is damaged ({error})", "Fetch or write it again") from error
