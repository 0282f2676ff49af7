"""The TF-IDF control reads every script: by words, or by characters where texts have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kinds import build, score
from transferline.data.declarations import Share, TargetSpec
from transferline.data.prepare import prepare
from transferline.data.prepared_files import write_jsonl
from transferline.methods.controls.tfidf import Tfidf

TEXTS = {
    "words": (["dull", "awful", "weak"], ["lovely", "bright", "warm"], " "),
    "Chinese": (["很差", "无聊", "糟糕"], ["很好", "有趣", "精彩"], ""),
    "Thai": (["แย่", "น่าเบื่อ"], ["ดี", "สนุก"], ""),
    "emoji": (["😡", "👎", "💩"], ["😍", "👍", "🎉"], ""),
}


@pytest.mark.parametrize("script", TEXTS)
def test_it_learns_in_every_script(script: str, tmp_path: Path) -> None:
    bad, good, between = TEXTS[script]
    rows = []
    for i in range(120):  # a number keeps texts apart, which would be copies of each other
        words = [(good if i % 2 else bad)[(i + k) % len(good)] for k in range(2 + i % 2)]
        rows.append({"text": f"{between.join(words)} {i * 7919}", "label": "good" if i % 2 else "bad"})
    write_jsonl(tmp_path / "rows.jsonl", rows)
    spec = TargetSpec(domain="d", data="rows.jsonl", split=Share(test=0.3, validation=0.2))
    prepare("t", spec, tmp_path, tmp_path / "t")
    files = {split: tmp_path / "t" / f"{split}.jsonl" for split in ("train", "validation", "test")}
    out, _ = build(Tfidf(), files, tmp_path / "control", tmp_path)
    assert score(out, files["test"], "accuracy", tmp_path / "scored") == 1.0


def test_one_label_of_a_multi_label_target_has_a_score_between_0_and_1(tmp_path: Path) -> None:
    rows = [
        {"text": f"{'spam now' if i % 3 else 'a letter'} {i}", "label": ["spam"] if i % 3 else []} for i in range(90)
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    spec = TargetSpec(domain="d", data="rows.jsonl", task="multi-label", split=Share(test=0.3, validation=0.2))
    prepare("t", spec, tmp_path, tmp_path / "t")
    files = {split: tmp_path / "t" / f"{split}.jsonl" for split in ("train", "validation", "test")}
    out, figures = build(Tfidf(), files, tmp_path / "control", tmp_path)
    assert 0.9 < figures["validation_accuracy"] <= 1.0
    assert score(out, files["test"], "micro_f1", tmp_path / "scored") > 0.9
