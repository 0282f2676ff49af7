"""Convert tags of other schemes to BIO.

Ramshaw and Marcus, "Text Chunking using Transformation-Based Learning" (1995): IOB. Ratinov and Roth, "Design Challenges and
Misconceptions in Named Entity Recognition" (2009): BILOU.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TAG = re.compile(r"O|[BILUES]-\S+")
_FIRST, _LAST = "BSU", "ELSU"  # prefixes of a span's first and last word


def to_bio(tags: Sequence[str]) -> tuple[str, ...]:
    """Convert the tags of one text from BIO, IOB1, IOE1, IOE2, BIOES (also written IOBES) or BILOU to BIO.

    One rule serves all of them. A span starts at B, S or U, and at any tag that follows O, another type, or the end of a span.
    It ends at E, L, S or U. Raises ValueError with the first string that is no tag.
    """
    converted, before = [], "O"
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise ValueError(tag)
        if tag == "O":
            converted.append("O")
        else:
            starts = tag[0] in _FIRST or before[2:] != tag[2:] or before[0] in _LAST
            converted.append(("B" if starts else "I") + tag[1:])
        before = tag
    return tuple(converted)
