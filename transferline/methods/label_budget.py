"""Label budgets: what a target would be with fewer labels, by nested subsets of its training split.

One order of all examples is drawn for each seed, and a budget takes its beginning; so the 100 are among the 200, exactly.
The order keeps label shares: within a label the examples are shuffled by hash, and the i-th of n has the priority
(i + 1/2) / n, which is Webster's (Sainte-Lague's) method of apportionment; unlike largest remainders it never takes a row away
when the budget grows. Before that, every label comes once: a model cannot learn a label that it never sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.stage import Stage, StageKind, Work
from transferline.data.prepared_files import content_of, read_jsonl, write_jsonl
from transferline.data.split import fingerprint

FILE = "train.jsonl"


class Labels(Stage):
    """So many labelled examples of the training split; the seed says which."""

    kind: ClassVar[StageKind] = "select"
    reads: ClassVar[tuple[str, ...]] = ("train",)
    source: ClassVar[str] = "Webster's apportionment"

    method: Literal["labels"] = "labels"
    count: Annotated[int, Field(ge=1)] = 100

    def build(self, work: Work) -> dict[str, float]:
        records = read_jsonl(work.data["train"])
        order = nested_order(records, work.seed)
        fewest = count_labels(records)
        if self.count < fewest:
            what = f"a budget of {self.count} labels cannot show each of {fewest} labels once"
            raise InputError("budgets", what, f"Ask for {fewest} or more")
        kept = sorted(order[: self.count])
        write_jsonl(work.out / FILE, (records[i] for i in kept))
        return {"examples": float(len(kept)), "of": float(len(records))}


def nested_order(records: Sequence[dict], seed: int) -> list[int]:
    """Indices of records in an order of which every beginning is a fair subset."""
    place = {i: fingerprint(f"budget {seed} " + content_of(r["text"], r.get("pair"))) for i, r in enumerate(records)}
    shuffled = sorted(place, key=lambda i: (place[i], i))
    first = _cover(records, shuffled)
    by_label: dict[str, list[int]] = defaultdict(list)
    for i in shuffled:
        by_label[_stratum(records[i])].append(i)
    priority = {i: (n + 0.5) / len(rows) for rows in by_label.values() for n, i in enumerate(rows)}
    rest = sorted((i for i in shuffled if i not in first), key=lambda i: (priority[i], place[i]))
    return [*first, *rest]


def count_labels(records: Sequence[dict]) -> int:
    """The least budget: examples that it takes to show every label once."""
    return max(1, len(_cover(records, range(len(records)))))


def _cover(records: Sequence[dict], order: Sequence[int]) -> dict[int, None]:
    """The first examples, in an order, that bring a label not seen before."""
    seen: set[str] = set()
    found: dict[int, None] = {}
    for i in order:
        labels = _labels_of(records[i])
        if not labels <= seen:
            seen |= labels
            found[i] = None
    return found


def _labels_of(record: dict) -> set[str]:
    """The labels, or types of span, that an example shows; numbers and texts have none."""
    label = record.get("label")
    if isinstance(label, str):
        return {label}
    if isinstance(label, list):
        return {tag[2:] if "words" in record else tag for tag in label if tag != "O"}
    return set()


def _stratum(record: dict) -> str:
    label = record.get("label")
    return label if isinstance(label, str) else ""
