"""Lines of UTF-8 text files, with errors that name the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from transferline.core.errors import InputError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def text_lines(path: Path, skip: int = 0) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers, from 1. Every line keeps its end: LF, CRLF or CR.

    Drops a byte order mark. Raises InputError for other encodings, NUL characters and a second byte order mark.
    """
    with path.open("rb") as file:
        if file.read(2) in _UTF16:
            raise InputError(path, "the file is UTF-16", "Convert the file: iconv -f utf-16 -t utf-8")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            for number, line in enumerate(text, start=1):
                if "\0" in line:
                    mend = "Remove it, or convert the file if it is UTF-16: iconv -f utf-16 -t utf-8"
                    raise InputError(f"{path}, row {number}", "it holds a NUL character", mend)
                if line.startswith("\ufeff"):
                    what = "the line begins with a byte order mark"
                    raise InputError(f"{path}, row {number}", what, "Remove it: files were joined here")
                if number > skip:
                    yield number, line
    except UnicodeDecodeError as error:
        number, byte = _undecodable(path)
        where = f"{path}, line {number}"
        raise InputError(where, f"byte 0x{byte:02x} is not UTF-8", "Convert the file: iconv -t utf-8") from error


def _undecodable(path: Path) -> tuple[int, int]:
    """Line number and value of the first byte that is not UTF-8."""
    number = 0
    with path.open("rb") as file:
        for line in file:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                before = line[: error.start].replace(b"\r\n", b"\n")
                return number + 1 + before.count(b"\r"), line[error.start]
            number += 1 + line.replace(b"\r\n", b"\n").count(b"\r")
    raise AssertionError(f"{path} decodes after all")
