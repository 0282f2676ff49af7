"""The label of a row, in its one form, for every kind of target."""

from __future__ import annotations

import ast
import io
import itertools
import json
import re
import tokenize
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from transferline.data.declarations import TargetSpec
from transferline.data.read import Row, checked
from transferline.data.split import Label
from transferline.data.tag_schemes import to_bio
from transferline.data.values import (
    ValueProblem,
    encodable,
    is_missing,
    label_form,
    name_of_type,
    normalise,
    number_form,
    plain,
    text_form,
)

Lists = Literal["refuse", "parse"]
"""What to do with a list that was written as a text."""
_ARRAY = re.compile(r"(array|Index|list|tuple|set|frozenset)\(.*\)", re.DOTALL)
_PARSE = "Write a list of the format, or set `lists: parse` in params.yaml"


def label_of(row: Row, spec: TargetSpec) -> Label:
    """The label of a row: a name, sorted names, a number, tags, or a text. Raises InputError with file, row and mend."""
    return checked(row, spec.label, _FORMS[spec.task](spec))


def words_form(value: object, lists: Lists) -> tuple[str, ...]:
    """The words of a value of a tagging target. Raises ValueProblem if there are none, or one is no text."""
    words = _sequence(value, lists)
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        wrong = next((word for word in words if not isinstance(word, str)), "")
        found = f"{name_of_type(wrong)} among the words" if not isinstance(wrong, str) else "no words, or an empty one"
        raise ValueProblem(f"holds {found}", "Correct the row")
    return tuple(normalise(encodable(str(word))).replace(" ", "_") for word in words)


def spellings_of(row: Row, spec: TargetSpec) -> tuple[tuple[str, str], ...]:
    """(form, spelling) of each label of a row as the file has it, for single and several labels."""
    if spec.task not in ("single-label", "multi-label") or spec.bins:
        return ()
    value = plain(row.values[spec.label])
    parts = _parts(value, spec) if spec.task == "multi-label" else [value]
    return tuple((label_form(part), str(part)) for part in parts)


def _single(value: object, spec: TargetSpec) -> str:
    if spec.bins:
        number = number_form(value)
        return _named(str(sum(number >= edge for edge in spec.bins)), spec)
    parts = listed(value) if isinstance(value, str) else None
    # [18, 25] may be the name of an interval: only lists of texts, and of one element or none, are surely lists
    if parts is not None and (len(parts) < 2 or any(isinstance(part, str) for part in parts)):
        mend = "Set `task: multi-label` and `lists: parse` in params.yaml, or write one label"
        raise ValueProblem(f"holds a list, {str(value)[:60]!r}, where one label is expected", mend)
    return _named(value, spec)


def _several(value: object, spec: TargetSpec) -> tuple[str, ...]:
    return tuple(sorted({_named(part, spec) for part in _parts(value, spec)}))


def _parts(value: object, spec: TargetSpec) -> list[object]:
    """The labels of a multi-label row. An empty list, and an empty text, are a row without labels."""
    value = plain(value)
    if value is None:
        raise ValueProblem("is null", "Write [] for a row without labels, or drop the row")
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str):
        if _looks_listed(value):
            return _parsed(value, spec.lists)
        return [part for part in value.split(spec.separator) if part.strip()]
    return [value]


def _number(value: object, spec: TargetSpec) -> float:
    return number_form(value)


def _generated(value: object, spec: TargetSpec) -> str:
    """A text to generate. A number is written as a label would be."""
    return text_form(value, spec.html) if isinstance(value, str) or is_missing(value) else label_form(value)


def _named(value: object, spec: TargetSpec) -> str:
    form = label_form(value)
    if isinstance(value, str) and isinstance(_structure(value), dict):
        raise ValueProblem(f"holds an object that was written as a text, {value[:60]!r}", "Write its label")
    if not spec.labels:
        return form
    names = named_labels(spec.labels)
    if form not in names:
        raise ValueProblem(
            f"holds the label {form!r}, which is not known", f"Known are {sorted(names)}: correct the row"
        )
    return names[form]


def named_labels(labels: Mapping[str | int, str]) -> dict[str, str]:
    """Form of a value in the data -> normalised name of its label."""
    return {label_form(value): normalise(name) for value, name in labels.items()}


def _tags(value: object, spec: TargetSpec) -> tuple[str, ...]:
    """Tags in one scheme, BIO (see tag_schemes.py)."""
    names = named_labels(spec.labels)
    forms = [label_form(tag) for tag in _sequence(value, spec.lists)]
    tags = [names.get(form, form) for form in forms]
    try:
        return to_bio(tags)
    except ValueError as wrong:
        mend = "Tags are those of BIO, IOB1, IOE2, BIOES or BILOU. Name other values by `labels`: {0: O, 1: B-type}"
        raise ValueProblem(f"holds {str(wrong)!r}, which is no tag", mend) from None


def _sequence(value: object, lists: Lists) -> list[object]:
    """Words or tags: a list, or a text with white space between them."""
    value = plain(value)
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str):
        return _parsed(value, lists) if _looks_listed(value) and listed(value) is not None else list(value.split())
    if is_missing(value):
        return []
    raise ValueProblem(f"holds {name_of_type(value)} where a list is expected", "Correct the row")


def _looks_listed(text: str) -> bool:
    """Whether a text is a list as Python, numpy or JSON print it, or begins and ends as one."""
    text = text.strip()
    brackets = text[:1] == "[" and text[-1:] == "]" and (text == "[]" or any(char in text for char in "'\","))
    return brackets or bool(_ARRAY.fullmatch(text)) or listed(text) is not None


def _parsed(text: str, lists: Lists) -> list[object]:
    if lists == "refuse":
        raise ValueProblem(f"holds a list that was written as a text, {text[:60]!r}", _PARSE)
    parts = listed(text)
    if parts is None:
        raise ValueProblem(f"holds {text[:60]!r}, which is no list in Python's or JSON's form", "Correct the row")
    return parts


def listed(text: str) -> list[object] | None:
    """The elements of a text that is a list in JSON's or Python's form, else None.

    Adjacent strings without a comma, as numpy prints them, are refused: Python would join them.
    """
    value = _structure(text)
    return (
        sorted(value, key=str) if isinstance(value, set) else list(value) if isinstance(value, list | tuple) else None
    )


def _structure(text: str) -> object:
    """The list, tuple, set or object that a text spells, else None."""
    text = text.strip()
    if text[:1] + text[-1:] not in ("[]", "()", "{}"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # it may be Python's form
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a backslash in a label
            value = ast.literal_eval(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError):
        return None
    adjacent = any(one.type == two.type == tokenize.STRING for one, two in itertools.pairwise(tokens))
    return None if adjacent else value


_FORMS: dict[str, Callable[[TargetSpec], Callable[[object], Label]]] = {
    kind: lambda spec, form=form: partial(form, spec=spec)  # type: ignore[misc]
    for kind, form in {
        "single-label": _single,
        "multi-label": _several,
        "regression": _number,
        "tokens": _tags,
        "generation": _generated,
    }.items()
}
