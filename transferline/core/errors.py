"""The one exception that a user's mistake raises, and the parts of its messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from transferline.core.uris import without_credentials

LONGEST_SHOWN = 60  # characters of a user's value that a message repeats


class InputError(ValueError):
    """Bad input: names the place, the mistake and the mend in one message, without the passwords of addresses."""

    def __init__(self, where: object, what: str, mend: str) -> None:
        self.where, self.what, self.mend = (without_credentials(part) for part in (where, what, mend))
        # all of them: an exception travels between processes by its arguments
        super().__init__(self.where, self.what, self.mend)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.mend}"


def closest(name: object, known: Iterable[str]) -> str | None:
    """The known name that is most similar to a mistyped one, or None if none is similar."""
    found = difflib.get_close_matches(str(name)[:LONGEST_SHOWN], list(known), n=1)
    return found[0] if found else None


def choices(name: object, known: Iterable[str]) -> str:
    """The correction of an unknown name: the most similar known one, and the list of all."""
    names = sorted(known)
    found = closest(name, names)
    return (f"Did you mean {found!r}? " if found else "") + f"Declared are {names}"


def counted(number: int, one: str, several: str) -> str:
    """A number with its words: `1 text has`, `3 texts have`."""
    return f"{number:,} {one if number == 1 else several}"


def shown(value: object) -> str:
    """A user's value for a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
