"""Labels that come and go under a champion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from transferline.core.errors import InputError
from transferline.data.declarations import TargetSpec
from transferline.data.prepared_files import write_jsonl
from transferline.recipes.label_changes import check_label_changes, label_changes, labels_of_split, renames

KINDS: dict[str, tuple[str, Any]] = {
    "single-label": ("BertForSequenceClassification", lambda labels: [{"label": label} for label in labels]),
    "multi-label": ("BertForSequenceClassification", lambda labels: [{"label": list(labels)}]),
    "tokens": ("BertForTokenClassification", lambda labels: [{"label": [f"B-{label}", "O"]} for label in labels]),
}


def sides(folder: Path, kind: str, known: list[str], now: list[str]) -> tuple[Path, Path]:
    """A champion's folder with its labels, and a prepared training split with others."""
    architecture, rows = KINDS[kind]
    names = known if kind != "tokens" else ["O", *(f"{place}-{label}" for label in known for place in "BI")]
    problem = "multi_label_classification" if kind == "multi-label" else "single_label_classification"
    config = {"architectures": [architecture], "problem_type": problem, "id2label": dict(enumerate(names))}
    (folder / "champion").mkdir()
    (folder / "champion" / "config.json").write_text(json.dumps(config))
    extra = {"words": ["a", "b"]} if kind == "tokens" else {}
    write_jsonl(
        folder / "train.jsonl", ({"id": str(i), "text": "a b", **extra, **row} for i, row in enumerate(rows(now)))
    )
    return folder / "champion", folder / "train.jsonl"


def spec(**former: Any) -> TargetSpec:
    return TargetSpec(domain="d", data="d.csv", **former)


@pytest.mark.parametrize("kind", KINDS)
def test_new_and_gone_labels_are_found_for_every_kind_with_labels(kind: str, tmp_path: Path) -> None:
    changes = label_changes(*sides(tmp_path, kind, ["bad", "good", "meh"], ["bad", "good", "neutral"]))
    assert (changes.new, changes.gone) == (("neutral",), ("meh",))


def test_a_new_label_needs_no_word(tmp_path: Path) -> None:
    champion, train = sides(tmp_path, "single-label", ["bad", "good"], ["bad", "good", "neutral"])
    changes = label_changes(champion, train)
    check_label_changes("t", spec(), changes, labels_of_split(train))
    assert changes.sentences(spec()) == ["label 'neutral' is new: the champion is wrong on its rows"]


@pytest.mark.parametrize(
    ("former", "said"),
    [
        ({"meh": "neutral"}, "'neutral' now"),
        ({"meh": None}, "withdrawn"),
        ({"meh": ["neutral", "bad"]}, "split into"),
        ("fresh", "not compared with"),
    ],
)
def test_a_label_that_is_gone_needs_one(former: Any, said: str, tmp_path: Path) -> None:
    champion, train = sides(tmp_path, "single-label", ["bad", "good", "meh"], ["bad", "good", "neutral"])
    changes, now = label_changes(champion, train), labels_of_split(train)
    with pytest.raises(InputError, match=r"no longer have: \['meh'\].*former_labels"):
        check_label_changes("t", spec(), changes, now)
    declared = spec(former_labels=former)
    check_label_changes("t", declared, changes, now)
    assert any(said in sentence for sentence in changes.sentences(declared))
    assert changes.fresh(declared) == (former == "fresh")
    assert renames(declared) == ({"meh": "neutral"} if former == {"meh": "neutral"} else {})


def test_a_fresh_start_ends_with_the_first_champion_that_has_the_present_labels(tmp_path: Path) -> None:
    changes = label_changes(*sides(tmp_path, "single-label", ["bad", "good"], ["bad", "good"]))
    assert not changes.fresh(spec(former_labels="fresh"))


def test_a_new_name_that_no_row_has_is_refused(tmp_path: Path) -> None:
    champion, train = sides(tmp_path, "single-label", ["bad", "meh"], ["bad", "neutral"])
    declared, changes = spec(former_labels={"meh": "neutrall"}), label_changes(champion, train)
    with pytest.raises(InputError, match=r"'meh' became 'neutrall', which no row has\. Did you mean 'neutral'"):
        check_label_changes("t", declared, changes, labels_of_split(train))
