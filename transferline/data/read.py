"""Files to rows. Every row knows where it stands, so that an error can name it."""

from __future__ import annotations

import csv
import json
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transferline.core.errors import InputError
from transferline.data import feature_matrix
from transferline.data.declarations import Read

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_SUFFIXES = (*_DELIMITERS, ".jsonl", ".parquet", ".txt", ".conll", *feature_matrix.SUFFIXES)
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


def read_rows(data: Path, how: Read) -> Iterator[Row]:
    """The rows of a file, or of the files of a folder in the order of their names, filtered by `how.where`."""
    found = False
    for path in _files(data, how):
        for row in _rows_of(path, how):
            for column in how.where:
                if column not in row.values:
                    raise InputError(path, *_no_column(column, row.values))
            if all(str(row.values[column]) in _wanted(values) for column, values in how.where.items()):
                found = True
                yield row
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
    value = row.values[column]
    if value is not None and not isinstance(value, str):
        kind = "NaN" if isinstance(value, float) and math.isnan(value) else f"a value of type {type(value).__name__}"
        what = f"column {column!r} holds {kind} where a text is expected"
        raise InputError(row.where, what, "Write a text, or drop the row")
    text = normalise(value or "", html)
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
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
        if files:
            return files
        raise InputError(path, "there is no file to read", f"Put one of {', '.join(_SUFFIXES)} there")
    if not path.is_file():
        raise InputError(path, "there is no such file", "Correct `data` or `read` in params.yaml, or fetch the source")
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(path, f"{path.suffix!r} files are not read", f"Convert it to one of {', '.join(_SUFFIXES)}")
    return [path]


def _rows_of(path: Path, how: Read) -> Iterator[Row]:
    suffix = path.suffix.lower()
    try:
        if how.format == "conll":
            yield from _conll(path)
        elif suffix == ".parquet":
            yield from _parquet(path)
        elif suffix == ".jsonl":
            yield from _jsonl(path)
        elif suffix in (".txt", ".conll"):
            yield from _lines(path)
        elif suffix in feature_matrix.SUFFIXES:
            yield from _matrix(path, how)
        else:
            yield from _table(path, how, _DELIMITERS[suffix])
    except UnicodeDecodeError as error:
        number, byte = _undecodable(path)
        where = f"{path}, line {number}"
        raise InputError(where, f"byte 0x{byte:02x} is not UTF-8", "Convert the file: iconv -t utf-8") from error


def _table(path: Path, how: Read, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(2**30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(how.skip_lines):
            next(file, None)
        reader = csv.reader(file, delimiter=delimiter)
        header = list(how.columns) or next(reader, [])
        for values in reader:
            if not values:
                continue
            number = reader.line_num + how.skip_lines
            if len(values) != len(header):
                what = f"{len(values)} fields where the header has {len(header)}"
                raise InputError(f"{path}, row {number}", what, "Quote fields that hold the delimiter")
            yield Row(dict(zip(header, values, strict=True)), str(path), number)


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, row {number}", f"not JSON ({error.msg})", "Mend or drop the line") from error
            if not isinstance(values, dict):
                raise InputError(f"{path}, row {number}", "not a JSON object", 'Write {"text": ..., "label": ...}')
            yield Row(values, str(path), number)


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield Row({"text": line}, str(path), number)


def _conll(path: Path) -> Iterator[Row]:
    """Sentences of a CoNLL file: a line a word, its tag in the last column, blank lines and -DOCSTART- between them."""
    words: list[str] = []
    tags: list[str] = []
    first = 1
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            fields = line.split()
            if fields and not line.startswith("-DOCSTART-"):
                if len(fields) < 2:
                    raise InputError(f"{path}, row {number}", "a word without a tag", "Write: word, space, tag")
                words, tags = [*words, fields[0]], [*tags, fields[-1]]
                continue
            if words:
                yield Row({"text": words, "label": tags}, str(path), first)
            words, tags, first = [], [], number + 1
    if words:
        yield Row({"text": words, "label": tags}, str(path), first)


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as parquet

    number = 0
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=4096):
        for values in batch.to_pylist():
            number += 1
            yield Row(values, str(path), number)


def _matrix(path: Path, how: Read) -> Iterator[Row]:
    for number, values in enumerate(feature_matrix.rows_of_matrix(path, how.arrays), start=1):
        yield Row(values, str(path), number)


def _undecodable(path: Path) -> tuple[int, int]:
    """Line number and value of the first byte that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return number, line[error.start]
    raise AssertionError(f"{path} decodes after all")
