"""Copies between data sets: exact ones by fingerprint, near ones by MinHash.

MinHash (Broder 1997) estimates the Jaccard similarity of two sets of shingles. Locality-sensitive hashing finds the pairs above
a threshold without comparing all. Shingles are word triples: long enough that idioms do not make two film reviews alike, short
enough for single sentences. Most texts share so few shingles with all protected texts together that no sketch is needed to rule
them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transferline.data.split import fingerprint

PERMUTATIONS = 128
SHINGLE = 3


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


def shingles(text: str) -> list[bytes]:
    """Word triples of a text, case folded. A text of fewer words is one shingle."""
    words = text.casefold().split()
    count = max(1, len(words) - SHINGLE + 1)
    return sorted({" ".join(words[i : i + SHINGLE]).encode() for i in range(count)})


def find_copies(texts: Sequence[str], protected: Sequence[str], near: float) -> Copies:
    """Every text that is, exactly or nearly, one of the protected texts."""
    return Guard(protected, near).find(texts)


class Guard:
    """Protected texts, indexed once for however many texts are held against them."""

    def __init__(self, protected: Sequence[str], near: float) -> None:
        self.names = {fingerprint(text): index for index, text in reversed(list(enumerate(protected)))}
        self.protected, self.near = protected, near
        self.index: Any = None
        self.known: set[bytes] = set()

    def find(self, texts: Sequence[str]) -> Copies:
        """Which of some texts are copies."""
        exact = {i: self.names[f] for i, text in enumerate(texts) if (f := fingerprint(text)) in self.names}
        rest = [i for i in range(len(texts)) if i not in exact]
        if self.near >= 1.0 or not rest or not self.protected:
            return Copies(exact, {})
        return Copies(exact, self._near(texts, rest))

    def _near(self, texts: Sequence[str], rest: Sequence[int]) -> dict[int, int]:
        """Near copies: candidates by LSH, kept where the estimated similarity reaches the threshold."""
        from datasketch import MinHash, MinHashLSH

        if self.index is None:
            cuts = [shingles(text) for text in self.protected]
            self.known.update(*cuts)
            self.index = MinHashLSH(threshold=self.near, num_perm=PERMUTATIONS)
            self.sketches = list(MinHash.generator(cuts, num_perm=PERMUTATIONS))
            for i, sketch in enumerate(self.sketches):
                self.index.insert(i, sketch)
        found: dict[int, int] = {}
        like = {i: cut for i in rest if self._may_be(cut := shingles(texts[i]))}
        for i, sketch in zip(like, MinHash.generator(like.values(), num_perm=PERMUTATIONS), strict=True):
            close = [(sketch.jaccard(self.sketches[j]), -j) for j in self.index.query(sketch)]
            best = max(close, default=(0.0, 0))
            if best[0] >= self.near:
                found[i] = -best[1]
        return found

    def _may_be(self, cut: list[bytes]) -> bool:
        """Whether shingles can be a near copy's. The share that any protected text has bounds the similarity to each of them.

        From a threshold of 0.25 on, half of it leaves an estimate by 128 permutations more than four standard errors of room.
        """
        return len(self.known.intersection(cut)) >= self.near / 2 * len(cut)
