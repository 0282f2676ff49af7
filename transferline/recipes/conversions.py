"""Find values that pydantic would convert to another meaning, such as `epochs: true`, which it reads as 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transferline.core.errors import shown
from transferline.core.former_names import present_name

LARGEST = 2**53  # of a setting that is a whole number: the largest that JSON keeps exactly
QUOTE = "Put it in quotes if it is text"
MAY_BE_EMPTY = ("about", "where")


def conversions(
    given: Any, checked: Any, place: tuple[object, ...]
) -> Iterator[tuple[tuple[object, ...], tuple[str, str]]]:
    """(place, (cause, correction)) of each value that validation changed in kind. `checked` is a dump of the validated model."""
    if isinstance(given, dict) and isinstance(checked, Mapping):
        for name, value in given.items():
            found = next((key for key in (name, present_name(str(name))) if key in checked), None)
            if found is not None:
                yield from conversions(value, checked[found], (*place, name))
    elif isinstance(given, list | tuple) and isinstance(checked, list | tuple):
        for index, (value, after) in enumerate(zip(given, checked, strict=False)):
            yield from conversions(value, after, (*place, index))
    elif isinstance(given, str) and not given.strip() and not {*place} & {*MAY_BE_EMPTY} and place[-1] != "separator":
        yield place, ("the text is empty", "Give it a value, or leave the entry out")
    elif isinstance(checked, int | float) and not isinstance(checked, bool):
        if isinstance(given, bool | str):
            yield place, (f"{shown(given)} is not a number", f"Write a number. {QUOTE}")
        elif isinstance(checked, int) and (isinstance(given, float) or abs(checked) > LARGEST):
            yield (
                place,
                (f"{given!r} is not a whole number up to {LARGEST}", f"Write digits only, such as 2000. {QUOTE}"),
            )
