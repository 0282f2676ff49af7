"""Files to rows. Every row knows where it stands, so that an error can name it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from transferline.core.errors import InputError
from transferline.data import feature_matrix
from transferline.data.conll import conll_rows
from transferline.data.declarations import Read, Split, TargetSpec
from transferline.data.delimited import SEPARATORS, dialect_of, table_rows
from transferline.data.text_lines import text_lines
from transferline.data.values import ValueProblem, category_form, text_form

Formed = TypeVar("Formed")
_SUFFIXES = (*SEPARATORS, ".jsonl", ".parquet", ".txt", ".conll", *feature_matrix.SUFFIXES)
_NO_DATA = ("readme", "license", "licence")  # names of files that describe the data


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
                    raise InputError(path, *no_column(column, row.values))
            if all(_kept(row.values[column], values) for column, values in how.where.items()):
                found = True
                yield row
        if say is not None:
            say(f"{path.name}: {count:,} rows{_form_of(path, how)}")
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


def first_column_of(spec: TargetSpec, root: Path) -> int | None:
    """The number of the first column of a target's svmlight files. None for targets without such files."""
    if spec.features is None:
        return None
    reads = agree_first_column(root / spec.data, spec.read, spec.features)
    return next((how.first_column for how in reads.values() if how.first_column is not None), None)


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
        return enumerate(feature_matrix.rows_of_matrix(path, how.arrays, first_column=how.first_column), start=1)
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
        file = parquet.ParquetFile(path, page_checksum_verification=True)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise InputError(path, f"two columns have one name, of {names}", "Rename one")
        for batch in file.iter_batches(batch_size=4096):
            for values in batch.to_pylist():
                number += 1
                yield number, values
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        where, said = f"{path}, after row {number}", " ".join(str(error).split())[:200]
        raise InputError(where, f"the file is damaged ({said})", "Fetch or write it again") from error
