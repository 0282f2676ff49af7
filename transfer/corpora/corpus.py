"""DVC's third stage: a domain's raw text, purged of every copy of a test or validation row of its targets.

Run as `python -m transfer.corpora.corpus DOMAIN`. One adapted checkpoint serves all targets of the domain, so the
corpus is purged against all of them; where a purge takes nothing away, the corpus keeps its md5 and nothing retrains.
"""

from __future__ import annotations

import sys
from pathlib import Path

from transfer.corpora.declared import DomainSpec
from transfer.corpora.files import content_of, read_jsonl, tell, write_json, write_jsonl
from transfer.corpora.prepare import leak_error
from transfer.corpora.profile import describe
from transfer.corpora.read import Row, read_rows, text_of
from transfer.corpora.split import fingerprint
from transfer.errors import InputError
from transfer.evaluation.leakage import find_copies
from transfer.params import load_params


def prepare_corpus(name: str, spec: DomainSpec, root: Path, prepared: Path, out: Path) -> None:
    """Write corpus.jsonl and profile.json of a domain to `out`; `prepared` holds a folder a target."""
    rows = {fingerprint(text): text for row in read_rows(root / spec.data, spec.read) if (text := _text(row, spec))}
    # The lowest hashes stay under a limit: the same rows, whatever arrives later.
    chosen = [rows[key] for key in sorted(rows)][: spec.limit]
    tell(f"corpus {name}: {len(chosen):,} texts, looking for copies of test and validation rows")
    gate: dict[str, dict[str, int]] = {}
    contaminated: dict[str, list[str]] = {}
    for target in sorted(p for p in prepared.iterdir() if p.is_dir()):
        for guarded in ("test", "validation"):
            parts = protected_parts(target / f"{guarded}.jsonl")
            copies = find_copies(chosen, [text for text, _ in parts], spec.gate.near)
            gate[f"corpus in {guarded} of {target.name}"] = copies.counts()
            if copies and spec.gate.policy == "strict":
                where = chosen[min([*copies.exact, *copies.near])][:60]
                raise leak_error(f"domain {name}", "the corpus", f"{target.name} {guarded}", repr(where), len(copies))
            if guarded == "test":
                contaminated[target.name] = sorted({parts[i][1] for i in copies.originals()})
            chosen = [text for i, text in enumerate(chosen) if i not in copies]
    if not chosen:
        raise InputError(f"domain {name}", "the gate left nothing of the corpus", "Bring other text")
    out.mkdir(parents=True, exist_ok=True)
    write_jsonl(out / "corpus.jsonl", ({"text": text} for text in chosen))
    profile = {"corpus": describe(chosen), "gate": gate, "contaminated_test_rows": contaminated}
    write_json(out / "profile.json", profile)


def protected_parts(split: Path) -> list[tuple[str, str]]:
    """Every text of a split that a corpus must not hold, each with the id of its row: of a pair both, and of a row
    whose label is a text to generate, that text too."""
    named = [(fingerprint(content_of(r["text"], r.get("pair"))), r) for r in read_jsonl(split)]
    return [(r[part], name) for name, r in named for part in ("text", "pair", "target") if part in r]


def _text(row: Row, spec: DomainSpec) -> str:
    """Empty lines of raw text are no mistake; a missing column is."""
    if spec.text in row.values and not str(row.values[spec.text] or "").strip():
        return ""
    return text_of(row, spec.text, spec.html)


def main(arguments: list[str]) -> int:
    """Entry point of the DVC stage."""
    name = arguments[0]
    try:
        spec = load_params(Path("params.yaml")).domains[name]
        prepare_corpus(name, spec, Path(), Path("data/prepared") / name, Path("data/corpora") / name)
    except InputError as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
