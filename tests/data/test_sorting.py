"""Sorting through files gives what sorting in memory gives."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from transferline.data import corpus
from transferline.data.corpus import prepare_corpus
from transferline.data.declarations import DomainSpec
from transferline.data.prepared_files import read_texts, write_jsonl
from transferline.data.sorting import Sorted
from transferline.data.split import fingerprint


def test_each_text_once_by_its_hash(tmp_path: Path) -> None:
    texts = [f"text {i % 700}\nwith a break" for i in range(2000)]
    by_hash = {fingerprint(text): text for text in texts}
    with Sorted(iter(texts), tmp_path / "parts") as ordered:
        assert list(ordered) == [by_hash[name] for name in sorted(by_hash)]
        assert list(itertools.islice(ordered, 5)) == [by_hash[name] for name in sorted(by_hash)][:5]
        assert ordered.count == 2000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at_once", [3, 10_000])
def test_a_corpus_is_the_same_however_much_of_it_is_held(at_once: int, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(corpus, "AT_ONCE", at_once)
    rows = [f"the story of number {i} is told in a film of many words" for i in range(40)]
    (tmp_path / "corpus.txt").write_text("\n".join([*rows, *rows[:5]]) + "\n")
    (tmp_path / "prepared" / "t").mkdir(parents=True)
    for split, part in (("test", rows[:4]), ("validation", rows[4:6])):
        write_jsonl(tmp_path / "prepared" / "t" / f"{split}.jsonl", ({"text": t, "label": "a"} for t in part))
    spec = DomainSpec.model_validate({"data": "corpus.txt", "limit": 30, "gate": {"near": 1.0}})
    prepare_corpus("d", spec, tmp_path, tmp_path / "prepared", tmp_path / "out")
    kept = sorted(rows, key=fingerprint)[:30]
    assert read_texts(tmp_path / "out" / "corpus.jsonl") == [text for text in kept if text not in rows[:6]]
