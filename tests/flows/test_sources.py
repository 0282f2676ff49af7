"""Source tasks: pairs in DVC, chains with source examples, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from tests.flows.test_compare import bound_holds
from tests.flows.test_retrain import registry, transferline
from tests.operations.service import TARGETS, make_two_targets
from tests.project import TINY
from transferline.data.prepared_files import read_jsonl

pytestmark = pytest.mark.usefixtures("one_server")

PAIRS = {
    "plays-for-reviews": {"source": "stage/plays", "target": "cinema/reviews"},
    "coins-for-reviews": {"source": "stage/coins", "target": "cinema/reviews"},
}
RECIPES = {
    "weighed": {"base": "tiny", "instances": {"method": "density-ratio", "source_tasks": ["plays"]}, "tune": TINY},
    "both": {
        "base": "tiny",
        "adapt": [{"method": "intermediate", "source_task": "coins", "tune": TINY}],
        "tune": {**TINY, "method": "hard-sharing", "source_tasks": ["plays", "coins"]},
    },
    "wrong": {"base": "tiny", "instances": {"method": "pooled", "source_tasks": ["coins"]}, "tune": TINY},
    "aligned": {"base": "tiny", "tune": {"method": "coral", "source_tasks": ["other"], "max_tokens": 16}},
    "default": {"base": "tiny", "tune": TINY},
    "full": {"base": "tiny", "tune": TINY},
}

SHARING = ("hard-sharing", "cross-stitch", "dann")
RECIPES |= {name: {"base": "tiny", "tune": {**TINY, "method": name, "source_tasks": ["plays"]}} for name in SHARING}
RECIPES |= {"auxiliary": {"base": "tiny", "tune": {**TINY, "method": "auxiliary", "block": 16}}}
RECIPES |= {
    "after": {"base": "tiny", "adapt": [{"method": "intermediate", "source_task": "plays", "tune": TINY}], "tune": TINY}
}
QUESTION = {
    "default": {"recipes": ["weighed", "aligned", "default", "after"], "labels": 60},
    "sharing": {"recipes": ["auxiliary", *SHARING], "labels": 60},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plays share a hundred rows with the reviews and have a smaller test set: their training rows are among the reviews' test."""
    targets = {**TARGETS, "plays": {**TARGETS["plays"], "split": {"test": 0.1, "validation": 0.1}}}
    folder = tmp_path_factory.mktemp("sources")
    root = make_two_targets(folder / "project", pairs=PAIRS, recipes=RECIPES, targets=targets, comparisons=QUESTION)
    copies = (root / "reviews.csv").read_text().splitlines()[1:101]
    with (root / "plays.csv").open("a") as file:
        file.write("\n".join(copies) + "\n")
    return root


def test_what_is_lent_is_free_of_the_learners_test(project: Path) -> None:
    done = transferline(project, "run", "reviews", "weighed")
    assert done.returncode == 0, done.stderr
    profile = json.loads((project / "data" / "pairs" / "plays-for-reviews" / "profile.json").read_text())
    source_rows = {row["text"] for row in read_jsonl(project / "data" / "pairs" / "plays-for-reviews" / "train.jsonl")}
    prepared = project / "data" / "prepared"
    for split in ("test", "validation"):
        held_out = read_jsonl(prepared / "cinema" / "reviews" / f"{split}.jsonl")
        assert not source_rows & {row["text"] for row in held_out}
    assert profile["rows"]["train"] == len(source_rows)
    assert profile["gate"]["train in test of reviews"]["exact"] > 0
    assert profile["contaminated_test_rows"]
    [source_examples] = (project / "data" / "checkpoints").glob("select-*/lineage.json")
    figures = json.loads(source_examples.read_text())["summary"]
    assert 0 < figures["effective"] <= figures["borrowed"] == len(source_rows)
    assert registry(project).search_model_versions("name = 'reviews'")


@pytest.mark.slow
def test_tasks_that_share_nothing_but_words_may_teach(project: Path) -> None:
    done = transferline(project, "run", "reviews", "both")
    assert done.returncode == 0, done.stderr


def test_tasks_that_share_nothing_but_words_may_not_lend(project: Path) -> None:
    refused = transferline(project, "run", "reviews", "wrong")
    assert refused.returncode == 2
    assert "method 'pooled', source 'coins': not admissible in the setting 'inductive'" in refused.stderr
    nobody = transferline(project, "run", "coins", "weighed")
    assert nobody.returncode == 2
    assert "no pair declares 'plays' as its source task" in nobody.stderr
    assert "source: stage/plays, target: stage/coins" in nobody.stderr
    unnamed = transferline(project, "run", "reviews", "aligned")
    assert unnamed.returncode == 2
    assert "source task is `other`" in unnamed.stderr


@pytest.mark.slow
def test_recipes_with_sources_compete_and_their_twins_go_without(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = transferline(project, "compare", "reviews")
    assert done.returncode == 0, done.stderr
    bound_holds(project, "default", monkeypatch)
    with (project / "data" / "comparisons" / "reviews" / "default" / "leaderboard.csv").open() as file:
        twins = {row["entry"]: row["twin"] for row in csv.DictReader(file)}
    assert twins["weighed"] == "default"
    assert twins["aligned from plays"] == "aligned from plays unadapted"
    assert twins["default"] == ""
    assert "aligned from coins" not in twins  # it has other labels and was not named


@pytest.mark.slow
def test_the_bound_holds_for_methods_that_learn_several_tasks(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = transferline(project, "compare", "reviews", "sharing")
    assert done.returncode == 0, done.stderr
    bound_holds(project, "sharing", monkeypatch)


@pytest.mark.slow
def test_the_matrix_and_the_diagnosis_read_what_is_there(project: Path) -> None:
    drawn = transferline(project, "matrix", "default", "--targets", "reviews")
    assert drawn.returncode == 0, drawn.stderr
    assert "1 transfers" in drawn.stdout + drawn.stderr
    folder = project / "data" / "comparisons" / "matrix" / "default"
    assert {path.name for path in folder.iterdir()} == {"matrix.md", "matrix.csv", "matrix.svg", "matrix.png"}
    said = transferline(project, "diagnose", "reviews")
    assert said.returncode == 0, said.stderr
    folder = project / "data" / "diagnoses" / "reviews"
    found = json.loads((folder / "diagnosis.json").read_text())
    assert set(found["bases"]["tiny"]["sources"]) == {"plays", "coins"}
    assert {"default", "weighed", "aligned from plays"} <= {one["recipe"] for one in found["advice"]}
    assert (folder / "layers.svg").exists()
    again = transferline(project, "diagnose", "reviews")
    assert again.stderr.count("  reused ") == 2
    assert "  built " not in again.stderr
    fewer = transferline(project, "diagnose", "reviews", "--labels", "20")
    assert fewer.returncode == 0, fewer.stderr
    assert json.loads((folder / "diagnosis.json").read_text())["bases"]["tiny"]["rows"] == 20


def test_an_audit_says_what_was_forgotten_and_whom_a_model_favours(project: Path) -> None:
    (project / "people.csv").write_text("one,two,about\nthe bright actor,the dull actor,talent\n" * 20)
    params = project / "params.yaml"
    declared = yaml.safe_load(params.read_text())
    declared["audits"] = {"people": {"data": "people.csv", "first": "one", "second": "two", "kind": "about"}}
    params.write_text(yaml.safe_dump(declared, sort_keys=False))
    done = transferline(project, "audit", "reviews", "after")
    assert done.returncode == 0, done.stderr
    found = json.loads((project / "data" / "audits" / "reviews" / "after" / "audit.json").read_text())
    assert set(found["forgotten"]) == {"plays", "coins"}
    sides = found["bias"]["people"]
    assert (
        sides["after"]["talent"]["flips"]["value"] == 1.0
    )  # the words that define the target's labels: a good model must react to them
    assert sides["after"]["talent"]["pairs"] == 20
