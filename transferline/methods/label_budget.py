"""Label budgets: nested subsets of the training split, to measure a target with fewer labels.

Each seed defines one order of all examples, and a budget takes the first ones. A budget of 100 is therefore a subset of the
budget of 200. The order keeps label shares: the examples of a label are shuffled by hash, and the i-th of n gets the priority
(i + 1/2) / n. This is Webster's (Sainte-Lague's) method of apportionment. Unlike largest remainders, it never removes a row
when the budget grows. One example of each label comes first, because a model cannot learn a label without examples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Lengths, StepTexts
from transferline.core.stage import Stage, StageKind, Work
from transferline.data.prepared_files import content_of, read_jsonl, write_jsonl
from transferline.data.split import fingerprint

FILE = "train.jsonl"


class Labels(Stage):
    """Select a number of labelled training examples; the seed determines which."""

    kind: ClassVar[StageKind] = "select"
    reads: ClassVar[tuple[str, ...]] = ("train",)
    source: ClassVar[str] = "Webster's apportionment"

    method: Literal["labels"] = "labels"
    count: Annotated[int, Field(ge=1)] = 100
    """number of examples"""

    def selects(self, tokens: StepTexts) -> Lengths:
        return tokens["train"].longest(self.count)

    def build(self, work: Work) -> dict[str, float]:
        records = read_jsonl(work.data["train"])
        order = nested_order(records, work.seed)
        fewest = count_labels(records)
        if self.count < fewest:
            what = f"a budget of {self.count} labels cannot contain each of {fewest} labels once"
            raise InputError("budgets", what, f"Ask for {fewest} or more")
        kept = sorted(order[: self.count])
        write_jsonl(work.out / FILE, (records[i] for i in kept))
        return {"examples": float(len(kept)), "of": float(len(records))}


def nested_order(records: Sequence[dict], seed: int) -> list[int]:
    """Indices of records, ordered so that the first n are a stratified sample for every n."""
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
    """The smallest budget: the number of examples needed to contain every label once."""
    return max(1, len(_cover(records, range(len(records)))))


def _cover(records: Sequence[dict], order: Sequence[int]) -> dict[int, None]:
    """The examples, in the given order, that contain a label for the first time."""
    seen: set[str] = set()
    found: dict[int, None] = {}
    for i in order:
        labels = _labels_of(records[i])
        if not labels <= seen:
            seen |= labels
            found[i] = None
    return found


def _labels_of(record: dict) -> set[str]:
    """Labels, or span types, of an example; empty for regression and generation."""
    label = record.get("label")
    if isinstance(label, str):
        return {label}
    if isinstance(label, list):
        return {tag[2:] if "words" in record else tag for tag in label if tag != "O"}
    return set()


def _stratum(record: dict) -> str:
    label = record.get("label")
    return label if isinstance(label, str) else ""
