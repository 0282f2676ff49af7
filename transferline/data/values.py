"""Typed values of a table: texts, one form for each label, and numbers. Every reader of labelled rows uses these functions.

A label has one form for all files of a target. `1`, `1.0`, `"1"` and `"1.00"` are the label `1`. `true`, `True` and `TRUE` are
the label `true`. Leading zeros stay, because `007` is a code.
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any

LARGEST = 3.4028234663852886e38
"""Largest fp32 number. Models compute in fp32."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PLAIN = re.compile(r"([+-]?)(0|[1-9]\d*)(?:\.(\d*))?", re.ASCII)
_TRUTH = {text: name for name in ("true", "false") for text in (name, name.title(), name.upper())}
_BREAKS = re.compile(r"<br\s*/?>|</?p>", re.IGNORECASE)
_HALF = re.compile("[\ud800-\udfff]")
_INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")


class ValueProblem(ValueError):
    """A value that cannot be used as asked, and how to correct it. Readers add file and row."""

    def __init__(self, what: str, mend: str) -> None:
        self.what, self.mend = what, mend
        super().__init__(what, mend)


def normalise(text: str, html: bool = False) -> str:
    """Normalise to NFC, collapse white space and trim. With `html`, <br> and <p> become spaces too."""
    if html:
        text = _BREAKS.sub(" ", text)
    return " ".join(unicodedata.normalize("NFC", text).split())


def is_invisible(text: str) -> bool:
    """Whether a text has no visible character: it is empty, or holds white space, control and format characters only."""
    return all(unicodedata.category(char) in _INVISIBLE for char in text)


def is_missing(value: object) -> bool:
    """Whether a value is null, NaN, or a text without a visible character. 0, False and an empty list are values."""
    if isinstance(value, str):
        return is_invisible(value)
    value = plain(value)
    return value is None or (isinstance(value, float | decimal.Decimal) and math.isnan(value))


def plain(value: Any) -> Any:
    """A numpy or pandas scalar as the Python value with the same shortest text. pandas' NA and NaT become None."""
    if type(value) in (str, int, float, bool, list, dict, type(None)):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        # str(float32) is the shortest text of the number: 0.1, where item() is 0.10000000149
        return float(str(value)) if value.dtype.kind == "f" else value if value.dtype.kind in "mM" else value.item()
    return value


def name_of_type(value: object) -> str:
    """What a value is, in words for an error."""
    value = plain(value)
    if value is None:
        return "null"
    if isinstance(value, float | decimal.Decimal) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "an infinite number"
    kinds: list[tuple[Any, str]] = [
        (str, "a text"),
        (bool, "a truth value"),
        (int | float | decimal.Decimal, "a number"),
        (bytes | bytearray | memoryview, "bytes"),
        (Mapping, "an object"),
        (list | tuple | set | frozenset, "a list"),
        (datetime.date | datetime.time | datetime.timedelta, "a date or time"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), f"a value of type {type(value).__name__}")


def text_form(value: object, html: bool = False) -> str:
    """The normalised text of a value. Raises ValueProblem unless it is a text with a visible character."""
    if value is None or (isinstance(value, str) and is_invisible(value)):
        raise ValueProblem("is empty", "Fill it or drop the row")
    if not isinstance(value, str):
        raise ValueProblem(f"holds {name_of_type(value)} where a text is expected", "Write a text, or drop the row")
    text = normalise(encodable(value), html)
    if not text:
        raise ValueProblem("is empty", "Fill it or drop the row")
    return text


def label_form(value: object) -> str:
    """The one form of a label. Raises ValueProblem on a missing value, a structure, a date or bytes."""
    value = plain(value)
    if value is None or (isinstance(value, str) and is_invisible(value)):
        raise ValueProblem("is empty", "Label the row or drop it")
    if isinstance(value, str):
        return _form_of_text(normalise(encodable(value)))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | decimal.Decimal) and math.isfinite(value):
        # repr of a float is its shortest text; a whole one is written out, however large
        whole = value == int(value)
        text = _digits(int(value)) if whole else format(decimal.Decimal(str(value)), "f")
        return _form_of_text(text)
    raise ValueProblem(f"holds {name_of_type(value)}, which is no label", "Write a text or a number, or drop the row")


def category_form(value: object) -> str:
    """The one form of a value that groups or filters rows, empty for a missing one. Raises ValueProblem on a structure."""
    value = plain(value)
    if is_missing(value):
        return ""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return label_form(value)


def number_form(value: object) -> float:
    """A finite number. Raises ValueProblem on everything else, with a correction for underscores and commas."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float | decimal.Decimal):
        if is_missing(value):
            raise ValueProblem("is empty" if value is None else "holds NaN", "Label the row or drop it")
        raise ValueProblem(f"holds {name_of_type(value)}, which is no number", "Write a number, or drop the row")
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, str) and not text:
        raise ValueProblem("is empty", "Label the row or drop it")
    if isinstance(value, str) and not _NUMBER.fullmatch(text):
        raise ValueProblem(f"holds {text[:60]!r}, which is no number", _mend_of_number(text))
    try:
        number = float(text or value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= LARGEST:  # NaN too
        shown = text[:60] if text else name_of_type(value) if not math.isfinite(number) else repr(number)
        raise ValueProblem(f"holds {shown}, which is no number that fp32 can hold", "Correct the row or drop it")
    return number


def encodable(text: str) -> str:
    """A text as it is. Raises ValueProblem on half of a character, which JSON can hold and no file in UTF-8."""
    found = _HALF.search(text)
    if found:
        what = f"holds half of a character (\\u{ord(found[0]):04x} without its other half)"
        raise ValueProblem(what, "Write the text again with its whole characters, or drop the row")
    return text


def _form_of_text(text: str) -> str:
    if text in _TRUTH:
        return _TRUTH[text]
    found = _PLAIN.fullmatch(text)
    if found is None:
        return text
    sign, whole, fraction = found[1], found[2], (found[3] or "").rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return f"-{number}" if sign == "-" and number != "0" else number


def _digits(number: int) -> str:
    limit = sys.get_int_max_str_digits()
    if limit and number.bit_length() > 3 * limit:
        raise ValueProblem("holds a number of thousands of digits, which is no label", "Correct the row or drop it")
    return str(number)


def _mend_of_number(text: str) -> str:
    bare = text.replace("_", "")
    if "_" in text and _NUMBER.fullmatch(bare):
        return f"Write {bare} without underscores"
    if text.count(",") == 1 and _NUMBER.fullmatch(text.replace(",", ".")):
        decimals, thousands = text.replace(",", "."), text.replace(",", "")
        return f"It has a decimal comma: write {decimals}. If the comma groups thousands, write {thousands}"
    if "," in text and _NUMBER.fullmatch(text.replace(",", "")):
        return f"Write {text.replace(',', '')} without commas"
    return "Correct the row or drop it"
