from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transferline.data.fingerprints import read_seen, unseen, write_seen
from transferline.data.prepared_files import write_jsonl
from transferline.data.split import fingerprint
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.report import Group, make_report

TEXTS = [f"test text number {i}" for i in range(200)]
IDS = tuple(fingerprint(text) for text in TEXTS)


def group(role: str, folder: Path, p: float, seeds: int = 3) -> Group:
    made = []
    y_true = np.arange(200) % 2
    for seed in range(seeds):
        right = np.random.default_rng([seed, len(role)]).uniform(size=200) < p
        said = np.where(right, y_true, 1 - y_true)
        made.append(Predictions(IDS, ("a", "b"), y_true, np.stack([said == 0, said == 1], axis=1).astype(float)))
    return Group(role, tuple(f"{role}-{s}" for s in range(seeds)), tuple(made), (folder,) * seeds, min(1, seeds - 1))


@pytest.fixture
def groups(tmp_path: Path) -> dict[str, Group]:
    scores = {"challenger": 0.9, "unadapted": 0.8, "scratch": 0.6, "tfidf": 0.6}
    return {role: group(role, tmp_path, p) for role, p in scores.items()}


def folder_that_saw(folder: Path, texts: list[str]) -> Path:
    folder.mkdir()
    write_jsonl(folder / "train.jsonl", ({"text": text} for text in texts))
    write_seen(folder, {"train": folder / "train.jsonl"}, [])
    return folder


def test_the_challenger_meets_every_control_and_the_fallback_every_other(groups) -> None:
    report = make_report("accuracy", groups, None, True, [], looks=7)
    assert [[c.other for c in candidate.comparisons] for candidate in report.candidates] == [
        ["unadapted", "scratch", "tfidf"],
        ["scratch", "tfidf"],
    ]
    assert report.looks == 7
    assert report.candidates[0].key == "challenger-1"


def test_without_a_fallback_there_is_one_candidate(groups) -> None:
    assert len(make_report("accuracy", groups, None, False, [], 1).candidates) == 1


def test_a_recipe_without_adaptation_is_not_compared_with_itself(groups) -> None:
    same = {**groups, "unadapted": groups["challenger"]}
    report = make_report("accuracy", same, None, True, [], 1)
    assert [c.other for c in report.candidates[0].comparisons] == ["scratch", "tfidf"]
    assert "no adaptation" in report.notes[0]


def test_labels_that_the_test_lacks_are_named_beside_macro_f1(groups) -> None:
    assert not make_report("accuracy", groups, None, True, [], 1).notes
    wider = {
        role: replace(g, predictions=tuple(p.over(("a", "b", "rare")) for p in g.predictions))
        for role, g in groups.items()
    }
    report = make_report("macro_f1", wider, None, True, [], 1)
    assert "no test row has the labels rare" in report.notes[0]
    assert "2 of 3 at most" in report.notes[0]
    assert report.lines["challenger"].scores["macro_f1"].value <= 2 / 3


def test_a_champion_is_compared_on_rows_that_it_never_saw(groups, tmp_path: Path) -> None:
    saw = folder_that_saw(tmp_path / "old", [*TEXTS[:50], "something else"])
    champion = group("champion", saw, 0.7, seeds=1)
    report = make_report("accuracy", groups, champion, True, [], 1)
    against = next(c for c in report.candidates[0].comparisons if c.other == "champion")
    assert against.rows == 150
    assert any("had seen 50 rows of this test" in note for note in report.notes)


def test_a_candidate_that_saw_the_test_is_never_scored(groups, tmp_path: Path) -> None:
    saw = folder_that_saw(tmp_path / "leaky", TEXTS[3:4])
    leaky = Group("challenger", groups["challenger"].keys, groups["challenger"].predictions, (saw,) * 3, 1)
    with pytest.raises(ValueError, match="trained on rows of this test"):
        make_report("accuracy", {**groups, "challenger": leaky}, None, True, [], 1)


def test_clean_and_contaminated_rows_are_scored_apart(groups) -> None:
    report = make_report("accuracy", groups, None, True, list(IDS[:40]), 1)
    shipped = groups["challenger"].predictions[1]
    right = shipped.predicted == shipped.y_true
    assert report.clean["contaminated"].value == pytest.approx(right[:40].mean())
    assert report.clean["clean"].value == pytest.approx(right[40:].mean())


def test_what_a_model_saw_includes_what_its_parents_saw(tmp_path: Path) -> None:
    parent = folder_that_saw(tmp_path / "parent", ["from the corpus"])
    child = tmp_path / "child"
    child.mkdir()
    write_jsonl(child / "train.jsonl", [{"text": "from training"}])
    write_seen(child, {"train": child / "train.jsonl"}, [parent])
    assert len(read_seen(child)) == 2
    ids = tuple(fingerprint(t) for t in ("from training", "From the CORPUS", "new"))
    assert unseen(ids, child).tolist() == [False, False, True]
