"""Rows of every kind of task, good and bad: what is wrong is told with file, row and mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from transferline.core.errors import InputError
from transferline.data.declarations import METRICS_OF, Read, TargetSpec
from transferline.data.examples import example_of, record_of
from transferline.data.leak_gate import protected_parts
from transferline.data.prepare import prepare
from transferline.data.prepared_files import kind_of, read_jsonl, write_jsonl
from transferline.data.read import Row, read_rows


def example(row: dict[str, Any], **spec: Any):
    return example_of(Row(row, "f.csv", 7), TargetSpec(domain="d", data="x", **spec))


def test_several_labels_come_as_a_list_or_with_a_separator() -> None:
    for given in (["b", "a", "b"], "a; b", "b;a"):
        made = example({"text": "t", "label": given}, task="multi-label")
        assert made.label == ("a", "b")
    assert example({"text": "t", "label": ""}, task="multi-label").label == ()
    assert example({"text": "t", "label": "x|y"}, task="multi-label", separator="|").label == ("x", "y")


@pytest.mark.parametrize("bad", ["high", "nan", "inf"])
def test_what_is_no_number_is_refused_with_its_row(bad: str) -> None:
    with pytest.raises(InputError, match=rf"f\.csv, row 7: column 'label' holds '{bad}', which is no number\. Correct"):
        example({"text": "t", "label": bad}, task="regression")
    assert example({"text": "t", "label": "-2.5"}, task="regression").label == -2.5


def test_words_and_tags_must_be_as_many() -> None:
    with pytest.raises(InputError, match="row 7: 2 words and 3 tags"):
        example({"text": ["a", "b"], "label": ["O", "O", "O"]}, task="tokens")
    with pytest.raises(InputError, match="'PER', which is no tag"):
        example({"text": ["a"], "label": ["PER"]}, task="tokens")
    with pytest.raises(InputError, match="holds no words"):
        example({"text": [], "label": []}, task="tokens")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("B-X I-X O", "B-X I-X O"),
        ("I-X I-X O", "B-X I-X O"),  # IOB1
        ("O I-X I-Y", "O B-X B-Y"),
        ("B-X E-X S-Y", "B-X I-X B-Y"),  # BIOES
        ("B-X L-X U-Y", "B-X I-X B-Y"),  # BILOU
    ],
)
def test_every_scheme_of_tags_becomes_one(given: str, expected: str) -> None:
    made = example({"text": "a b c", "label": given}, task="tokens")
    assert made.label == tuple(expected.split())


def test_a_pair_is_told_apart_from_its_parts() -> None:
    one, two = (example({"text": "a", "other": other, "label": "x"}, pair="other") for other in ("b", "c"))
    assert one.unit != two.unit
    assert one.content == "a\nb"
    with pytest.raises(InputError, match="no column 'other'"):
        example({"text": "a", "label": "x"}, pair="other")


def test_the_record_says_its_kind(tmp_path: Path) -> None:
    rows = {
        "single-label": ({"text": "t", "label": "x"}, {}),
        "multi-label": ({"text": "t", "label": "x"}, {"task": "multi-label"}),
        "regression": ({"text": "t", "label": "1"}, {"task": "regression"}),
        "tokens": ({"text": "t", "label": "O"}, {"task": "tokens"}),
        "generation": ({"text": "t", "label": "1"}, {"task": "generation"}),
    }
    for kind, (row, spec) in rows.items():
        write_jsonl(tmp_path / "r.jsonl", [record_of(example(row, **spec), "id")])
        assert kind_of(tmp_path / "r.jsonl") == kind
        assert METRICS_OF[kind]  # type: ignore[index]


def test_a_conll_file_is_read_sentence_by_sentence(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O\n\nThe DT O\nEU NNP B-ORG\n\n\nBonn NNP B-LOC\n"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    rows = list(read_rows(tmp_path / "a.txt", Read(format="conll")))
    assert [row.values for row in rows] == [
        {"text": ["The", "EU"], "label": ["O", "B-ORG"]},
        {"text": ["Bonn"], "label": ["B-LOC"]},
    ]
    (tmp_path / "b.txt").write_text("The O\nEU\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2: a word without a tag"):
        list(read_rows(tmp_path / "b.txt", Read(format="conll")))


def write_rows(folder: Path, rows: list[dict]) -> None:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_rows_without_text_or_label_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [{"text": f"word number {i}", "label": f"answer {i}" if i % 3 else ""} for i in range(60)]
    write_rows(tmp_path, rows)
    spec = TargetSpec(domain="d", data="rows.jsonl", task="generation")
    with pytest.raises(InputError, match="column 'label' is empty"):
        prepare("t", spec, tmp_path, tmp_path / "out")
    prepare("t", spec.model_copy(update={"skip_empty": True}), tmp_path, tmp_path / "out")
    kept = [row for split in ("train", "validation", "test") for row in read_jsonl(tmp_path / "out" / f"{split}.jsonl")]
    assert 35 <= len(kept) <= 40


def test_a_rare_type_of_span_stops_prepare(tmp_path: Path) -> None:
    rows = [{"text": f"a{i} b{i}", "label": "B-X O" if i else "B-RARE O"} for i in range(50)]
    write_rows(tmp_path, rows)
    with pytest.raises(InputError, match="label 'RARE' has 1 examples, fewer than 5"):
        prepare("t", TargetSpec(domain="d", data="rows.jsonl", task="tokens"), tmp_path, tmp_path / "out")


def test_numbers_that_never_differ_stop_prepare(tmp_path: Path) -> None:
    write_rows(tmp_path, [{"text": f"text {i}", "label": 1} for i in range(60)])
    with pytest.raises(InputError, match="are one number"):
        prepare("t", TargetSpec(domain="d", data="rows.jsonl", task="regression"), tmp_path, tmp_path / "out")


def test_the_corpus_is_kept_from_both_texts_of_a_pair_and_from_what_is_to_be_generated(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "test.jsonl", [{"id": "1", "text": "a", "pair": "b", "label": "x"}])
    assert [text for text, _ in protected_parts(tmp_path / "test.jsonl")] == ["a", "b", "a\nb"]
    write_jsonl(tmp_path / "test.jsonl", [{"id": "1", "text": "a", "target": "b"}])
    assert [text for text, _ in protected_parts(tmp_path / "test.jsonl")] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "regression", "metric": "accuracy"}, "does not judge a task of kind 'regression'"),
        ({"task": "tokens", "pair": "b"}, "a second text has no place"),
    ],
)
def test_a_target_that_contradicts_itself_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TargetSpec(domain="d", data="x", **changes)
