"""Leak gate for training text beside a target's own rows: a domain's corpus, and examples of source tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transferline.core.errors import InputError
from transferline.data.declarations import Gate
from transferline.data.near_duplicates import Guard
from transferline.data.prepared_files import content_of, features_of, read_jsonl
from transferline.data.split import fingerprint

GUARDED = ("test", "validation")


@dataclass(frozen=True)
class Passed:
    """Result of a gate: positions of the texts that passed, counts of copies, and ids of the protected rows that had copies."""

    kept: list[int]
    counts: dict[str, int]
    copied: set[str]


class Gatekeeper:
    """One prepared split, and the texts to check against it. `who` appears in errors, `guarded` names the split."""

    def __init__(self, split: Path, gate: Gate, who: str, guarded: str) -> None:
        self.gate, self.who, self.guarded = gate, who, guarded
        parts = protected_parts(split)
        literal = bool(parts) and features_of(read_jsonl(split)[0]) is not None
        self.ids = [name for _, name in parts]
        self.rows = len(set(self.ids))
        self.guard = Guard([text for text, _ in parts], gate.near, literal)

    def let_pass(self, texts: Sequence[str], side: str) -> Passed:
        """Which of `texts` are no copies. Raises InputError where a strict gate finds one."""
        copies = self.guard.find(texts)
        if copies and self.gate.policy == "strict":
            where = texts[min([*copies.exact, *copies.near])][:60]
            raise leak_error(self.who, side, self.guarded, repr(where), len(copies))
        kept = [i for i in range(len(texts)) if i not in copies]
        return Passed(kept, copies.counts(), {self.ids[i] for i in copies.originals()})


def protected_parts(split: Path) -> list[tuple[str, str]]:
    """Every protected text of a split, with the id of its row.

    A pair has two texts, and both together are protected as well. A row whose label is a text to generate protects that text too.
    """
    parts = []
    for record in read_jsonl(split):
        content = content_of(record["text"], record.get("pair"))
        texts = [record[part] for part in ("text", "pair", "target") if part in record]
        parts += [(text, fingerprint(content)) for text in dict.fromkeys([*texts, content])]
    return parts


def leak_error(who: str, side: str, guarded: str, where: str, count: int) -> InputError:
    """The error that the strict policy raises."""
    what = f"{count} rows of {side} are copies of {guarded} rows"
    return InputError(f"{who}, {where}", what, "Remove them, or set gate.policy to purge")
