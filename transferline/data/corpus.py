"""DVC's third stage: a domain's raw text, purged of every copy of a test or validation row of its targets.

Run as `python -m transferline data corpus DOMAIN`. One adapted checkpoint serves all targets of the domain, so the corpus is
purged against all of them. A purge that removes nothing leaves the corpus's md5 unchanged, and nothing is retrained.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from pathlib import Path

from transferline.core.errors import InputError
from transferline.data.declarations import DomainSpec
from transferline.data.leak_gate import GUARDED, Gatekeeper
from transferline.data.prepared_files import tell, write_json, write_jsonl
from transferline.data.profile import describe_lengths
from transferline.data.read import Row, read_rows, text_of
from transferline.data.sorting import Sorted
from transferline.data.values import is_missing

AT_ONCE = 10_000  # texts that are gated together


def prepare_corpus(name: str, spec: DomainSpec, root: Path, prepared: Path, out: Path) -> None:
    """Write corpus.jsonl and profile.json of a domain to `out`. `prepared` holds one folder per target.

    Memory does not grow with the corpus: texts are sorted by their hashes through files, and gated one part at a time.
    """
    out.mkdir(parents=True, exist_ok=True)
    targets = sorted(p for p in prepared.iterdir() if p.is_dir())
    keepers = {
        (target.name, guarded): Gatekeeper(
            target / f"{guarded}.jsonl", spec.gate, f"domain {name}", f"{target.name} {guarded}"
        )
        for target in targets
        for guarded in GUARDED
    }
    gate = {place: {"exact": 0, "near": 0} for place in keepers}
    contaminated: dict[str, set[str]] = {target.name: set() for target in targets}
    lengths = array("I")  # four bytes a text: there may be many millions

    def gated(texts: Iterator[str]) -> Iterator[dict[str, str]]:
        while chosen := list(itertools.islice(texts, AT_ONCE)):
            for (target, guarded), keeper in keepers.items():
                passed = keeper.let_pass(chosen, "the corpus")
                gate[target, guarded] = {kind: n + passed.counts[kind] for kind, n in gate[target, guarded].items()}
                contaminated[target] |= passed.copied if guarded == "test" else set()
                chosen = [chosen[i] for i in passed.kept]
            lengths.extend(len(text.split()) for text in chosen)
            yield from ({"text": text} for text in chosen)

    said: list[str] = []
    texts = (text for row in read_rows(root / spec.data, spec.read, said.append) if (text := _text(row, spec)))
    with Sorted(texts, out.parent / f".{out.name}.sorting") as ordered:
        for line in said:
            tell(f"read: {line}")
        tell(f"corpus {name}: {ordered.count:,} texts, looking for copies of test and validation rows")
        # A limit keeps the lowest hashes, so that rows which arrive later change little.
        write_jsonl(out / "corpus.jsonl", gated(itertools.islice(ordered, spec.limit)))
    if not lengths:
        raise InputError(f"domain {name}", "the gate left nothing of the corpus", "Bring other text")
    profile = {
        "read": said,
        "corpus": describe_lengths(lengths),
        "gate": {f"corpus in {guarded} of {target}": counts for (target, guarded), counts in gate.items()},
        "contaminated_test_rows": {target: sorted(names) for target, names in contaminated.items()},
    }
    write_json(out / "profile.json", profile)


def _text(row: Row, spec: DomainSpec) -> str:
    """The text of a row, empty for an empty line. Raises InputError if the column is missing."""
    if spec.text in row.values and is_missing(row.values[spec.text]):
        return ""
    return text_of(row, spec.text, spec.html)
