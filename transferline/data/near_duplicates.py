"""Copies between data sets: exact ones by their bare form (bare_text.py), near ones by their edit distance.

Texts are compared without white space, punctuation and markup, so another tokenisation or another script makes no difference.
Candidates are found by an index of character n-grams. By the pigeonhole principle, texts that differ by few edits share many
n-grams (Ukkonen, "Approximate string-matching with q-grams and maximal matches", 1992). The edit distance of the candidates
decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferline.data.bare_text import bare
from transferline.data.split import fingerprint

SHORT, LONG = 4, 8  # characters of an n-gram, for short and for long texts
_BORDER = 64  # characters from which a text is long
_FIXED = 8  # characters of a text that allow no edit: otherwise "great" would be a copy of "treat"
_DIGIT = 5  # edits that another digit counts as: rows of a template differ in their numbers, and are no copies
_SHARED = 0.12  # least share of a long text's n-grams in a near copy: one edit in ten characters leaves about 0.4
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, and well mixed: 2^64 divided by the golden ratio
_DIGITS = re.compile(r"\d")


@dataclass(frozen=True)
class Copies:
    """Which of `texts` are copies of which protected text, by index: {index in texts: index in protected}."""

    exact: dict[int, int]
    near: dict[int, int]

    def __len__(self) -> int:
        return len(self.exact) + len(self.near)

    def __contains__(self, index: int) -> bool:
        return index in self.exact or index in self.near

    def counts(self) -> dict[str, int]:
        return {"exact": len(self.exact), "near": len(self.near)}

    def originals(self) -> set[int]:
        """The protected texts that were copied."""
        return set(self.exact.values()) | set(self.near.values())


def find_copies(texts: Sequence[str], protected: Sequence[str], near: float, literal: bool = False) -> Copies:
    """Every text that is, exactly or nearly, one of the protected texts. `literal` as in `Guard`."""
    return Guard(protected, near, literal).find(texts)


def edits_allowed(length: int, near: float) -> int:
    """Edits of characters up to which a text of this bare length is a near copy."""
    return max(0, int((1 - near) * (length - _FIXED) + 1e-9))


class Guard:
    """Protected texts, indexed once for however many texts are held against them.

    `near` is the share of characters that near copies have in common; 1 looks for exact copies only. With `literal` texts are
    compared as they are, for rows of numbers. Two lines are the two texts of a pair: a pair is a copy of its mirror.
    """

    def __init__(self, protected: Sequence[str], near: float, literal: bool = False) -> None:
        self.near, self.literal = near, literal
        every = [self._sides(text) for text in protected]
        self.names = {_name(sides): index for index, sides in reversed(list(enumerate(every)))}
        self.forms: list[str] = []
        self.owners: list[int] = []
        self.indices: dict[int, _Index] = {}
        if near < 1 and not literal:
            for index, sides in enumerate(every):
                for form in dict.fromkeys(("".join(sides), "".join(reversed(sides)))):
                    self.forms.append(form)
                    self.owners.append(index)
            self.indices = {size: _Index(self.forms, size, near) for size in (SHORT, LONG)}

    def find(self, texts: Sequence[str]) -> Copies:
        """Which of some texts are copies."""
        exact: dict[int, int] = {}
        near: dict[int, int] = {}
        for i, text in enumerate(texts):
            sides = self._sides(text)
            name = _name(sides)
            if name in self.names:
                exact[i] = self.names[name]
            elif self.indices and (original := self._nearest("".join(sides))) is not None:
                near[i] = original
        return Copies(exact, near)

    def _sides(self, text: str) -> list[str]:
        return [text] if self.literal else [bare(side) for side in text.split("\n")]

    def _nearest(self, form: str) -> int | None:
        """The protected text with the lowest edit distance to a bare text, or None if that is too high. The first of several."""
        from rapidfuzz.distance import Levenshtein

        index = self.indices[SHORT if len(form) < _BORDER else LONG]
        best: tuple[float, int] | None = None
        for candidate in index.candidates(form):
            other = self.forms[candidate]
            most = edits_allowed(max(len(form), len(other)), self.near)
            distance = Levenshtein.distance(_weighted(form), _weighted(other), score_cutoff=most)
            if distance <= most:
                best = min(best or (np.inf, 0), (distance, self.owners[candidate]))
        return best[1] if best else None


def _name(sides: Sequence[str]) -> str:
    """Fingerprint of a row from its bare texts. A pair has that of its mirror."""
    return fingerprint("\n".join(sorted(sides)))


def _weighted(form: str) -> str:
    """A bare text with each digit repeated, so that an edit distance counts digits more."""
    return _DIGITS.sub(lambda digit: digit[0] * _DIGIT, form)


class _Index:
    """The n-grams of some texts, and for each n-gram the texts that have it."""

    def __init__(self, forms: Sequence[str], size: int, near: float) -> None:
        self.size, self.near = size, near
        # both indices hold the texts about the border, since a copy may lie on its other side
        slack = edits_allowed(_BORDER, near) + 1
        kept = [
            i
            for i, form in enumerate(forms)
            if (len(form) < _BORDER + slack if size == SHORT else len(form) >= _BORDER - slack)
        ]
        self.places = np.array(kept, dtype=np.int64)
        parts = [grams(forms[i], size) for i in kept]
        owners = np.repeat(np.arange(len(kept)), [len(part) for part in parts])
        every = np.concatenate([*parts, np.empty(0, dtype=np.uint64)])
        order = np.argsort(every, kind="stable")
        self.owners = owners[order]
        self.keys, self.starts = np.unique(every[order], return_index=True)
        self.ends = np.append(self.starts[1:], len(every))

    def candidates(self, form: str) -> list[int]:
        """Texts that share enough n-grams with a bare text, the most similar first."""
        mine = grams(form, self.size)
        if not len(mine) or not len(self.keys):
            return []
        at = np.searchsorted(self.keys, mine)
        at[at == len(self.keys)] = 0
        at = at[self.keys[at] == mine]
        needed = self._needed(form, len(mine))
        if len(at) < needed:
            return []
        lengths = self.ends[at] - self.starts[at]
        ends = np.cumsum(lengths)
        # the ranges start:end of all these n-grams, one after another
        places = np.arange(ends[-1]) + np.repeat(self.starts[at] - ends + lengths, lengths)
        shared = np.bincount(self.owners[places])
        found = np.flatnonzero(shared >= needed)
        return self.places[found[np.argsort(-shared[found], kind="stable")]].tolist()

    def _needed(self, form: str, count: int) -> int:
        """Least number of shared n-grams. Each edit changes at most as many n-grams as an n-gram has characters."""
        if self.size == LONG:
            return max(2, int(_SHARED * count))
        return max(1, count - self.size * edits_allowed(len(form), self.near) - self.size)


def grams(form: str, size: int) -> Any:
    """Distinct hashes (uint64) of the character n-grams of a text. A shorter text is one n-gram."""
    codes = np.frombuffer(form.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    size = min(size, len(codes))
    if not size:
        return np.empty(0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        hashes = np.zeros(len(codes) - size + 1, dtype=np.uint64)
        for place in range(size):
            hashes = hashes * _BASE + codes[place : len(codes) - size + 1 + place]
        hashes ^= hashes >> np.uint64(29)
        hashes *= _BASE
    if size == LONG:
        hashes = hashes[hashes & np.uint64(1) == 0]  # half of them is enough, and twice as fast
    return np.unique(hashes)
