"""DVC's stage for pairs: what one target lends to another, purged of every copy of the learner's test and validation rows.

Run as `python -m transfer.corpora.pair PAIR`. The lender's own test is not lent: it stays unseen, for whoever asks what the
lender's task has lost.
"""

from __future__ import annotations

import sys
from pathlib import Path

from transfer.corpora.corpus import protected_parts
from transfer.corpora.declared import PairSpec, Split
from transfer.corpora.files import content_of, read_jsonl, tell, write_json, write_jsonl
from transfer.corpora.prepare import leak_error
from transfer.errors import InputError
from transfer.evaluation.leakage import find_copies
from transfer.params import load_params

LENT: tuple[Split, ...] = ("train", "validation")
GUARDED: tuple[Split, ...] = ("test", "validation")


def prepare_pair(name: str, spec: PairSpec, prepared: Path, out: Path) -> None:
    """Write train.jsonl, validation.jsonl and profile.json of a pair to `out`; `prepared` holds domains of targets."""
    gate: dict[str, dict[str, int]] = {}
    contaminated: set[str] = set()
    lent = {split: read_jsonl(prepared / spec.source / f"{split}.jsonl") for split in LENT}
    tell(f"pair {name}: {sum(map(len, lent.values())):,} rows, looking for copies of test and validation rows")
    for guarded in GUARDED:
        parts = protected_parts(prepared / spec.target / f"{guarded}.jsonl")
        for split, rows in lent.items():
            texts = [content_of(row["text"], row.get("pair")) for row in rows]
            copies = find_copies(texts, [text for text, _ in parts], spec.gate.near)
            gate[f"{split} in {guarded} of {spec.learner}"] = copies.counts()
            if copies and spec.gate.policy == "strict":
                where = texts[min([*copies.exact, *copies.near])][:60]
                raise leak_error(f"pair {name}", f"{split} of {spec.lender}", guarded, repr(where), len(copies))
            if guarded == "test":
                contaminated |= {parts[i][1] for i in copies.originals()}
            lent[split] = [row for i, row in enumerate(rows) if i not in copies]
    if not all(lent.values()):
        raise InputError(f"pair {name}", "the gate left nothing of what is lent", "These targets hold the same texts")
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in lent.items():
        write_jsonl(out / f"{split}.jsonl", rows)
    rows_left = {split: len(rows) for split, rows in lent.items()}
    write_json(out / "profile.json", {"rows": rows_left, "gate": gate, "contaminated_test_rows": sorted(contaminated)})


def main(arguments: list[str]) -> int:
    """Entry point of the DVC stage."""
    name = arguments[0]
    try:
        spec = load_params(Path("params.yaml")).pairs[name]
        prepare_pair(name, spec, Path("data/prepared"), Path("data/pairs") / name)
    except InputError as error:
        print(f"pair: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
