"""Delimited tables: csv, tsv and their dialects, read in strict mode."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transferline.core.errors import InputError
from transferline.data.declarations import Read
from transferline.data.text_lines import text_lines

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_FIELD = 2**30  # characters: the csv module stops at 2**17 otherwise


@dataclass(frozen=True)
class Dialect:
    """Separator and quoting of a table. `declared`: the quoting stands in params.yaml."""

    separator: str
    quoted: bool
    declared: bool

    def __str__(self) -> str:
        name = _NAMES.get(self.separator, repr(self.separator))
        return f"{name}, {'quoting' if self.quoted else 'no quoting'}"


def dialect_of(path: Path, how: Read) -> Dialect:
    """The declared dialect of a table, completed from its suffix and its header.

    A header without the suffix's separator but with exactly one other kind is split at that one. Only tables that are
    not separated by tabs are quoted, unless `quoting` is declared.
    """
    separator = how.separator or SEPARATORS[path.suffix.lower()]
    if not how.separator and not how.columns:
        header = next((line for _, line in text_lines(path, how.skip_lines)), "")
        others = [one for one in _NAMES if one in header]
        if separator not in header and len(others) == 1:
            separator = others[0]
    quoted = separator != "\t" if how.quoting is None else how.quoting == "minimal"
    return Dialect(separator, quoted, how.quoting is not None)


def table_rows(path: Path, how: Read, dialect: Dialect) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the rows of a table with the number of their first line.

    Raises InputError for unclosed quotes, ragged rows, empty and repeated column names, and quotes of unclear meaning.
    """
    records = _records(path, how, dialect)
    header = list(how.columns)
    if not header:
        number, header, _ = next(records, (0, [], []))
        _check_header(f"{path}, row {number}", header)
    width = len(header)
    for number, values, lines in records:
        if len(values) != width:
            what = f"{len(values)} fields where the header has {width} ({dialect})"
            mend = "Quote fields that hold the separator, or declare `separator` and `quoting` in `read`"
            raise InputError(f"{path}, row {number}", what, mend)
        if len(lines) > 1 and width > 1 and not dialect.declared and _looks_like_rows(lines, dialect, width):
            what = f"a quoted field reaches over {len(lines)} lines that each look like a row"
            mend = "Close the quote, or declare `quoting: none` or `quoting: minimal` in `read`"
            raise InputError(f"{path}, row {number}", what, mend)
        yield number, dict(zip(header, values, strict=True))


def _check_header(where: str, header: list[str]) -> None:
    for place, name in enumerate(header, start=1):
        if not name.strip() and (place > 1 or len(header) == 1):  # the first may be a pandas index
            mend = "Name it, or give `columns` and `skip_lines: 1` in `read`"
            raise InputError(where, f"column {place} has no name", mend)
        if name in header[: place - 1]:
            mend = "Rename one, or give `columns` and `skip_lines: 1` in `read`"
            raise InputError(where, f"two columns are named {name!r}", mend)


def _looks_like_rows(lines: list[str], dialect: Dialect, width: int) -> bool:
    return all(line.count(dialect.separator) == width - 1 for line in lines)


def _records(path: Path, how: Read, dialect: Dialect) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line number, fields and lines of each record that is not blank. All records end alike, in CR or in LF."""
    records = _quoted(path, how, dialect) if dialect.quoted else _unquoted(path, how, dialect)
    cr: bool | None = None
    for number, values, lines in records:
        end = lines[-1][-1:]
        if end in "\r\n" and end:
            cr = end == "\r" if cr is None else cr
            if cr != (end == "\r"):
                what = "the line ends in CR where others end in LF, or the reverse"
                raise InputError(f"{path}, row {number}", what, "Write one kind of line end, or quote the field")
        if values:
            yield number, values, lines


def _quoted(path: Path, how: Read, dialect: Dialect) -> Iterator[tuple[int, list[str], list[str]]]:
    csv.field_size_limit(_FIELD)
    taken: list[str] = []
    last = how.skip_lines

    def lines() -> Iterator[str]:
        nonlocal last
        for number, line in text_lines(path, how.skip_lines):
            taken.append(line)
            last = number
            yield line

    reader = csv.reader(lines(), delimiter=dialect.separator, strict=True)
    while True:
        taken = []
        try:
            values = next(reader, None)
        except csv.Error as error:
            where = f"{path}, row {last - len(taken) + 1}"
            mend = "Close the quote and double quotes inside it, or declare `quoting: none` in `read`"
            raise InputError(where, f"a quote is wrong ({error})", mend) from error
        if values is None:
            return
        yield last - len(taken) + 1, values, taken


def _unquoted(path: Path, how: Read, dialect: Dialect) -> Iterator[tuple[int, list[str], list[str]]]:
    first = True
    for number, line in text_lines(path, how.skip_lines):
        body = line.rstrip("\r\n")
        values = body.split(dialect.separator) if body else []
        if '"' in body and not dialect.declared:
            wrapped = [value for value in values if len(value) > 1 and value[0] == value[-1] == '"']
            if (first and len(wrapped) == len(values)) or any(_doubled(value[1:-1]) for value in wrapped):
                what = f"the field {wrapped[0][:40]} is written as a quoted one"
                mend = "Declare `quoting: minimal` in `read`, or `quoting: none` if the quotes belong to the text"
                raise InputError(f"{path}, row {number}", what, mend)
        first = False
        yield number, values, [line]


def _doubled(inside: str) -> bool:
    """Whether a text has quotes and all of them are doubled, as inside a quoted field."""
    return '""' in inside and '"' not in inside.replace('""', "")
