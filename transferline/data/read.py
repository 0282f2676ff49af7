"""Files to rows. Every row knows where it stands, so that an error can name it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from transferline.core.errors import InputError
from transferline.data import feature_matrix
from transferline.data.declarations import Read, Split
from transferline.data.values import ValueProblem, category_form, text_form

Formed = TypeVar("Formed")
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_SUFFIXES = (*_DELIMITERS, ".jsonl", ".parquet", ".txt", ".conll", *feature_matrix.SUFFIXES)


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
                    raise InputError(path, *no_column(column, row.values))
            if all(_kept(row.values[column], values) for column, values in how.where.items()):
                found = True
                yield row
    if not found:
        what = f"no row has {dict(how.where)}" if how.where else "it holds no rows"
        raise InputError(data / (how.file or ""), what, "Check the file, and `read` in params.yaml")


def _kept(value: object, wanted: object) -> bool:
    """Whether a value has the form of a wanted one, or of one of several."""
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    try:
        return category_form(value) in {category_form(one) for one in several}
    except ValueProblem:  # a list or an object equals no value that can be declared
        return False


def text_of(row: Row, column: str, html: bool = False) -> str:
    """The normalised text of a row: NFC, white space folded, optionally without HTML line breaks.

    Raises InputError with file and row if the column is missing, empty, or holds another type than text.
    """
    return checked(row, column, partial(text_form, html=html))


def value_of(row: Row, column: str) -> object:
    """The value of a row. Raises InputError with file and row if the row lacks the column."""
    if column not in row.values:
        raise InputError(row.where, *no_column(column, row.values))
    return row.values[column]


def checked(row: Row, column: str, form: Callable[[object], Formed]) -> Formed:
    """`form` of the value of a row. A ValueProblem becomes an InputError with file, row and column."""
    value = value_of(row, column)
    try:
        return form(value)
    except ValueProblem as problem:
        raise InputError(row.where, f"column {column!r} {problem.what}", problem.mend) from None


def no_column(column: str, values: Iterable[str]) -> tuple[str, str]:
    """What is wrong with a row or file that lacks a column, and how to correct it."""
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


def agree_first_column(data: Path, reads: Mapping[Split, Read], width: int | None) -> dict[Split, Read]:
    """The reads of a target, with one number of the first column for all its svmlight files.

    Raises InputError if the declared numbers differ, or no file shows whether columns are counted from 0 or 1.
    """
    files = {
        split: [path for path in _files(data, how) if feature_matrix.is_svmlight(path)] for split, how in reads.items()
    }
    svmlight = [path for some in files.values() for path in some]
    if not svmlight:
        return dict(reads)
    declared = {how.first_column for split, how in reads.items() if files[split]} - {None}
    if len(declared) > 1:
        raise InputError(data, "its splits declare `first_column` 0 and 1", "All files of a target count alike")
    first = declared.pop() if declared else feature_matrix.first_column(svmlight, width)
    return {split: how.model_copy(update={"first_column": first}) for split, how in reads.items()}


def _matrix(path: Path, how: Read) -> Iterator[Row]:
    rows = feature_matrix.rows_of_matrix(path, how.arrays, first_column=how.first_column)
    for number, values in enumerate(rows, start=1):
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
