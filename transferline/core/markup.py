"""Text of users in pages and figures: shown as it is, and never read as markup.

Labels and texts come from files that others write. A label may hold a bar that would end a table cell, a tag, a pair of dollar
signs that matplotlib reads as a formula, or characters that turn the direction of the rest of a line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&])")
_SHOWN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
LONGEST = 200  # characters of a text on a page
LONGEST_IN_FIGURE = 40  # characters of a label beside an axis
MOST_IN_FIGURE = 40  # labels of one figure: 300 take a minute and gigabytes, and nobody can read them


def visible(text: object, longest: int = LONGEST) -> str:
    """A text in one line, cut to `longest` characters, with control and format characters written as their code."""
    line = " ".join(str(text).split())
    shown = "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c) in _SHOWN and c not in _JOINERS else c for c in line)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


# joiners are part of words in Persian and Indic scripts, and of emoji
_JOINERS = "\u200c\u200d"


def largest(items: Sequence[Item], size: Callable[[Item], float], most: int) -> list[Item]:
    """The `most` largest items, in the order in which they stand."""
    kept = set(sorted(range(len(items)), key=lambda i: -size(items[i]))[:most])
    return [item for i, item in enumerate(items) if i in kept]


def in_markdown(text: object) -> str:
    """A text for a markdown page or a cell of a markdown table."""
    return _MARKDOWN.sub(r"\\\1", visible(text))


def in_figure(text: object) -> str:
    """A text for a matplotlib figure."""
    return visible(text, LONGEST_IN_FIGURE).replace("$", r"\$")
