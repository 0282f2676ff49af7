"""CoNLL files: a word and its tag a line, blank lines between sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from transferline.core.errors import InputError
from transferline.data.text_lines import text_lines

LONGEST = 10_000  # words: a longer sentence means that the blank lines are missing


def conll_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield each sentence with the number of its first line. The word is the first column and the tag the last.

    Columns are separated by tabs, where a line has any, else by white space. -DOCSTART- lines end a sentence, and lines
    such as `# sent_id = 1` before a sentence are comments. Raises InputError where the number of columns changes.
    """
    words: list[str] = []
    tags: list[str] = []
    first, width = 1, 0
    for number, line in text_lines(path):
        fields = [field.strip() for field in line.strip().split("\t")] if "\t" in line.strip() else line.split()
        if not fields or line.startswith("-DOCSTART-"):
            if words:
                yield first, {"text": words, "label": tags}
            words, tags = [], []
            continue
        if not words and line.startswith("#") and _is_comment(line, len(fields), width):
            continue
        width = width or len(fields)
        _check(f"{path}, row {number}", fields, width, len(words))
        first = first if words else number
        words.append(fields[0])
        tags.append(fields[-1])
    if words:
        yield first, {"text": words, "label": tags}


def _is_comment(line: str, count: int, width: int) -> bool:
    """Whether a line with `#` before a sentence is no word: it sets a value, or has another number of columns."""
    return " = " in line or count < 2 or (width > 0 and count != width)


def _check(where: str, fields: list[str], width: int, words: int) -> None:
    if len(fields) < 2 or not fields[0]:
        raise InputError(where, "a word without a tag", "Write: word, space, tag")
    if len(fields) != width:
        what = f"{len(fields)} columns where the lines before have {width}"
        raise InputError(where, what, "Give every line the same columns, or separate them by tabs")
    if words >= LONGEST:
        raise InputError(where, f"a sentence of more than {LONGEST:,} words", "Put a blank line after each sentence")
