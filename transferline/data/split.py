"""Splits by a hash, so that a row keeps its split when new rows arrive, and nothing ever moves from train to test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import xxhash

from transferline.core.problem import TargetKind
from transferline.data.declarations import Share, Split
from transferline.data.prepared_files import content_of

Label = str | float | tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """One prepared row. `unit` decides its split: the group if there is one, else the content."""

    text: str
    label: Label
    unit: str
    where: str
    pair: str | None = None
    words: tuple[str, ...] = ()
    kind: TargetKind = "single-label"
    slices: tuple[tuple[str, str], ...] = ()
    features: int | None = None
    """columns of the matrix that it is a row of"""
    spellings: tuple[tuple[str, str], ...] = ()
    """(form, spelling) of its labels, as the file has them"""
    group: str | None = None
    """value of the grouping column; empty where the row has none"""

    @property
    def content(self) -> str:
        """All that a model is shown of it, as one text."""
        return content_of(self.text, self.pair)

    @property
    def stratum(self) -> str:
        """What `limit` keeps the shares of: the label, where it is one of several."""
        return str(self.label) if self.kind == "single-label" else ""


def fingerprint(text: str) -> str:
    """16 hex digits that identify a text, independent of its case."""
    return xxhash.xxh3_64_hexdigest(text.casefold().encode())


def position(unit: str) -> float:
    """Where in [0, 1) a unit falls: the same place for ever."""
    return int(fingerprint(unit)[:13], 16) / 16**13


def assign(unit: str, share: Share) -> Split:
    """The split of a unit: test from 0, validation after it, training above."""
    place = position(unit)
    if place < share.test:
        return "test"
    return "validation" if place < share.test + share.validation else "train"


def limit(examples: Sequence[Example], most: int) -> list[Example]:
    """At most `most` examples, label shares kept (largest remainder, at least one a label), lowest hash first.

    A smaller limit gives a subset of a larger one's rows up to rounding, so label budgets are nested.
    """
    if len(examples) <= most:
        return list(examples)
    by_label: dict[str, list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda e: (fingerprint("limit " + e.content), e.content)):
        by_label[example.stratum].append(example)
    quota = _quotas({label: len(rows) for label, rows in by_label.items()}, most)
    kept = {id(example) for label, rows in by_label.items() for example in rows[: quota[label]]}
    return [example for example in examples if id(example) in kept]


def _quotas(sizes: dict[str, int], most: int) -> dict[str, int]:
    total = sum(sizes.values())
    exact = {label: most * size / total for label, size in sizes.items()}
    quota = {label: max(1, int(share)) for label, share in exact.items()}
    by_remainder = sorted(sizes, key=lambda label: (int(exact[label]) - exact[label], label))
    for label in by_remainder:
        if sum(quota.values()) >= most:
            break
        quota[label] += 1
    return quota


def distinct(examples: Iterable[Example]) -> list[Example]:
    """The examples without later copies of the same text (case apart)."""
    seen: set[str] = set()
    kept = []
    for example in examples:
        name = fingerprint(example.content)
        if name not in seen:
            seen.add(name)
            kept.append(example)
    return kept
