"""DVC's stage for pairs: examples of a source task, purged of every copy of the target's test and validation rows.

Run as `python -m transferline data pair PAIR`. The source's own test is left out. It stays unseen, so that forgetting of the
source task can be measured.
"""

from __future__ import annotations

from pathlib import Path

from transferline.core.errors import InputError
from transferline.data.declarations import PairSpec, Split
from transferline.data.leak_gate import GUARDED, Gatekeeper
from transferline.data.prepared_files import content_of, read_jsonl, tell, write_json, write_jsonl

SOURCE_SPLITS: tuple[Split, ...] = ("train", "validation")
TWIN = 0.5  # share of the learner's rows in a source from which the source is the same data set in another form


def prepare_pair(name: str, spec: PairSpec, prepared: Path, out: Path) -> None:
    """Write train.jsonl, validation.jsonl and profile.json of a pair to `out`. `prepared` holds folders DOMAIN/TARGET."""
    gate: dict[str, dict[str, int]] = {}
    contaminated: set[str] = set()
    source_rows = {split: read_jsonl(prepared / spec.source / f"{split}.jsonl") for split in SOURCE_SPLITS}
    tell(f"pair {name}: {sum(map(len, source_rows.values())):,} rows, looking for copies of test and validation rows")
    for guarded in GUARDED:
        keeper = Gatekeeper(prepared / spec.target / f"{guarded}.jsonl", spec.gate, f"pair {name}", guarded)
        for split, rows in source_rows.items():
            texts = [content_of(row["text"], row.get("pair")) for row in rows]
            passed = keeper.let_pass(texts, f"{split} of {spec.source_task}")
            _refuse_twin(name, spec, len(passed.copied), keeper.rows, guarded)
            gate[f"{split} in {guarded} of {spec.learner}"] = passed.counts
            contaminated |= passed.copied if guarded == "test" else set()
            source_rows[split] = [rows[i] for i in passed.kept]
    if not all(source_rows.values()):
        raise InputError(f"pair {name}", "the leak gate left no source examples", "These targets hold the same texts")
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in source_rows.items():
        write_jsonl(out / f"{split}.jsonl", rows)
    rows_left = {split: len(rows) for split, rows in source_rows.items()}
    write_json(out / "profile.json", {"rows": rows_left, "gate": gate, "contaminated_test_rows": sorted(contaminated)})


def _refuse_twin(name: str, spec: PairSpec, copied: int, rows: int, guarded: str) -> None:
    """Raise InputError if a source holds most of the learner's rows: what is left of it is no independent source."""
    if copied > TWIN * rows:
        what = f"{copied} of the {rows} {guarded} rows of {spec.learner} have copies in {spec.source_task}: they are one data set"
        raise InputError(f"pair {name}", what, "Take another source, or remove the shared rows from the source's files")
