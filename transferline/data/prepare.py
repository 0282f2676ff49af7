"""DVC's second stage: a target's rows become train, validation and test, checked, and free of copies of the test.

Run as `python -m transferline data prepare TARGET`. Every file is written whole or not at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from transferline.core.errors import InputError
from transferline.data.declarations import Split, TargetSpec
from transferline.data.examples import columns_of, example_of, is_empty, record_of
from transferline.data.label_checks import check_labels
from transferline.data.leak_gate import leak_error
from transferline.data.near_duplicates import Copies, find_copies
from transferline.data.prepared_files import tell, write_json, write_jsonl
from transferline.data.profile import describe
from transferline.data.read import Row, agree_first_column, no_column, read_rows
from transferline.data.row_checks import apply_checks
from transferline.data.split import Example, assign, distinct, fingerprint, limit

SPLITS: tuple[Split, ...] = get_args(Split)
Splits = dict[Split, list[Example]]


def prepare(name: str, spec: TargetSpec, root: Path, out: Path) -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl and profile.json of a target to `out`."""
    skipped: Counter[str] = Counter()
    said: dict[str, list[str]] = {}
    splits = make_splits(spec, root, skipped, said)
    if skipped:
        counts = ", ".join(f"{count:,} of {split}" for split, count in skipped.items())
        tell(f"prepare {name}: warning (skip_empty): rows without text or label are left out: {counts}")
    findings = apply_checks(name, spec, splits)
    for split, rows in splits.items():
        if not rows:
            raise InputError(f"target {name}", f"the {split} split is empty", "Give more rows or change `split`")
    tell(f"prepare {name}: {sum(map(len, splits.values())):,} rows read, looking for copies between the splits")
    check_labels(name, spec, splits)
    gate, contaminated = purge(name, spec, splits)
    duplicates = {split: len(rows) - len(distinct(rows)) for split, rows in splits.items()}
    for split in ("train", "validation"):  # the test stays whole
        splits[split] = distinct(splits[split])
    for split, most in spec.limit.items():
        splits[split] = limit(splits[split], most)
    check_labels(name, spec.model_copy(update={"least": 1}), splits)
    out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        write_jsonl(out / f"{split}.jsonl", _records(splits[split]))
    profile = {
        "splits": {
            split: describe([e.content for e in rows], [e.label for e in rows], spec.task)
            for split, rows in splits.items()
        },
        "read": said,
        "duplicates": duplicates,
        "checks": findings,
        "skipped": dict(skipped),
        "gate": gate,
        "contaminated_test_rows": contaminated,
    }
    write_json(out / "profile.json", profile)


def make_splits(
    spec: TargetSpec, root: Path, skipped: Counter[str] | None = None, said: dict[str, list[str]] | None = None
) -> Splits:
    """Read every declared split, and make the missing ones from the training rows by hash.

    Counts in `skipped` the rows of each declared split that lack text or label, where `skip_empty` leaves them out. Prints the
    rows and the dialect of each file, and adds them to `said` by split.
    """
    data = root / spec.data
    counts = Counter[str]() if skipped is None else skipped
    reads = agree_first_column(data, spec.read, spec.features)
    said = {} if said is None else said
    rows: Splits = {}
    for split, how in reads.items():
        lines = said.setdefault(split, [])
        rows[split] = _examples(read_rows(data, how, lines.append), spec, counts, split)
        for line in lines:
            tell(f"read: {line}")
    missing = [split for split in SPLITS if split not in rows]
    if missing:
        share = spec.split
        pool = rows["train"]
        made: Splits = {split: [] for split in (*missing, "train")}
        for example in pool:
            split = assign(example.unit, share)
            made[split if split in made else "train"].append(example)
        rows = {**rows, **made}
    return {split: rows[split] for split in SPLITS}


def _examples(table: Iterable[Row], spec: TargetSpec, skipped: Counter[str], split: Split) -> list[Example]:
    """The examples of one declared split. Raises InputError if a column is missing from a whole file."""
    examples: list[Example] = []
    columns: dict[str, set[str]] = defaultdict(set)
    for row in table:
        columns[row.file].update(row.values)
        if spec.skip_empty and is_empty(row, spec):
            skipped[split] += 1
        else:
            examples.append(example_of(row, spec))
    for file, names in columns.items():
        for column in columns_of(spec):
            if column not in names:
                raise InputError(file, *no_column(column, names))
    return examples


def purge(name: str, spec: TargetSpec, splits: Splits) -> tuple[dict[str, dict[str, int]], list[str]]:
    """The leak gate among labelled splits, in place. Returns counts a pair, and the test rows that were copied."""
    counts: dict[str, dict[str, int]] = {}
    contaminated: set[str] = set()
    pairs: list[tuple[Split, Split]] = [("validation", "test"), ("train", "test"), ("train", "validation")]
    for side, guarded in pairs:
        texts = [example.content for example in splits[side]]
        originals = [example.content for example in splits[guarded]]
        copies = find_copies(texts, originals, spec.gate.near, literal=spec.features is not None)
        counts[f"{side} in {guarded}"] = copies.counts()
        if copies and spec.gate.policy == "strict":
            raise leak_error(f"target {name}", side, guarded, splits[side][_first(copies)].where, len(copies))
        if guarded == "test":
            contaminated |= {fingerprint(originals[i]) for i in copies.originals()}
        splits[side] = [example for i, example in enumerate(splits[side]) if i not in copies]
        if not splits[side]:
            raise InputError(f"target {name}", f"every row of {side} is a copy of {guarded}", "Bring other data")
    return counts, sorted(contaminated)


def _first(copies: Copies) -> int:
    return min([*copies.exact, *copies.near])


def _records(rows: Iterable[Example]) -> Iterable[dict[str, object]]:
    return (record_of(row, fingerprint(row.content)) for row in rows)
