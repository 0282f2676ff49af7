"""Labels that a target cannot be trained or measured on. These are errors without a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from transferline.core.errors import InputError
from transferline.data.declarations import Split, TargetSpec
from transferline.data.split import Example


def check_labels(name: str, spec: TargetSpec, splits: Mapping[Split, Sequence[Example]]) -> None:
    """Raise InputError on labels that are too few, too rare, or that training never sees."""
    if spec.task == "generation":
        return
    if spec.task == "regression":
        _check_numbers(name, splits)
        return
    counts = Counter(label for rows in splits.values() for example in rows for label in names_of(example))
    for label, count in sorted(counts.items()):
        if count < spec.least:
            what = f"label {label!r} has {count} examples, fewer than {spec.least}"
            raise InputError(f"target {name}", what, "Add examples, merge the label, or lower `least`")
    if len(counts) < (2 if spec.task == "single-label" else 1):
        found = f"there is one label only, {next(iter(counts))!r}" if counts else "no row has a label"
        raise InputError(f"target {name}", found, "A task needs two")
    trained = {label for example in splits["train"] for label in names_of(example)}
    for split in ("validation", "test"):
        for example in splits[split]:
            for label in names_of(example):
                if label not in trained:
                    mend = "Add training examples of it, raise `limit.train`, or drop the row"
                    raise InputError(example.where, f"label {label!r} in {split} is never seen in training", mend)


def names_of(example: Example) -> list[str]:
    """The labels that an example has: one, several, or the types of its spans."""
    several = example.label if isinstance(example.label, tuple) else ()
    if example.kind == "tokens":
        return sorted({tag[2:] for tag in several if tag != "O"})
    return [example.label] if isinstance(example.label, str) else list(several)


def _check_numbers(name: str, splits: Mapping[Split, Sequence[Example]]) -> None:
    for split, rows in splits.items():
        if len({example.label for example in rows}) < 2:
            raise InputError(f"target {name}", f"all labels of {split} are one number", "A regression needs more")
