"""The matrix of transfer: which targets are asked, and what is written."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.project import TINY, declare
from tests.recording import Recorder, record
from transferline.core.errors import InputError
from transferline.flows import matrix as module
from transferline.flows.matrix import learners, matrix, publish
from transferline.flows.support.comparison.publish import folder_of
from transferline.recipes.params import Params, load_params
from transferline.tournament.transfer_matrix import Cell

CELLS = [
    Cell("coral", "plays", "reviews", 0.8, 0.1, 0.05, 0.15, 0.001),
    Cell("coral", "reviews", "plays", 0.6, -0.1, -0.15, -0.05, 0.001),
    Cell("coral", "books", "plays", 0.7, 0.0, -0.1, 0.1, 0.9),
]


class Run:
    """An MLflow run that records what it is given."""

    run_id = "run-1"

    def __init__(self, *_: object) -> None:
        self.file, self.tag, self.log = Recorder(), Recorder(), Recorder()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def params(bare: Path) -> Params:
    """Reviews and plays are source tasks of each other. Books is only a source task."""
    names = ("reviews", "plays", "books")
    pairs = [("plays", "reviews"), ("reviews", "plays"), ("books", "plays")]
    declare(
        bare,
        targets={name: {"domain": "cinema", "data": "x.csv"} for name in names},
        pairs={f"p{i}": {"source": f"cinema/{one}", "target": f"cinema/{two}"} for i, (one, two) in enumerate(pairs)},
        comparisons={"tone": {"recipes": ["default"]}},
        recipes={"default": {"base": "tiny", "tune": TINY}},
    )
    return load_params(bare / "params.yaml")


def test_targets_on_both_sides_of_pairs_are_asked(params: Params) -> None:
    assert learners(params, None) == ["reviews", "plays"]
    assert learners(params, ["plays"]) == ["plays"]


def test_a_target_that_no_pair_teaches_is_refused(params: Params, bare: Path) -> None:
    with pytest.raises(InputError, match="target 'books': it has no source task"):
        learners(params, ["books"])
    with pytest.raises(InputError, match="target 'nothing': not declared"):
        learners(params, ["nothing"])
    declare(bare)
    with pytest.raises(InputError, match="no target is both a source and a target of a pair"):
        learners(load_params(bare / "params.yaml"), None)


def test_the_table_holds_every_cell_with_its_finding(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = record(monkeypatch, module, "create_markdown_artifact")
    run: Any = Run()
    outcome = publish(run, "tone", CELLS, "accuracy")
    assert (outcome["positive"], outcome["negative"], outcome["tie"], outcome["run"]) == ("1", "1", "1", "run-1")
    folder = folder_of("matrix", "tone")
    assert {path.name for path in folder.iterdir()} == {"matrix.md", "matrix.csv", "matrix.svg", "matrix.png"}
    with (folder / "matrix.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["target"], row["finding"]) for row in rows] == [
        ("plays", "reviews", "positive"),
        ("reviews", "plays", "negative"),
        ("books", "plays", "tie"),
    ]
    assert run.log.only[0][0] == {"transfers_positive": 1.0, "transfers_negative": 1.0, "transfers_tie": 1.0}
    assert len(run.file.calls) == 4
    assert page.only[1]["description"] == "3 transfers: 1 proven positive, 1 proven negative, 1 ties"


def test_each_target_is_compared_once_and_a_matrix_without_cells_is_refused(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare(target: str, comparison: str, **_: Any) -> None:
        folder = folder_of(target, comparison)
        folder.mkdir(parents=True)
        (folder / "leaderboard.csv").write_text("entry,score\ndefault,0.7\n")

    record(monkeypatch, module, "begin")
    compared = record(monkeypatch, module, "compare", compare)
    with pytest.raises(InputError, match="none of its recipes uses a source task"):
        matrix.fn("tone", device="cpu")
    assert [args for args, _ in compared.calls] == [("reviews", "tone"), ("plays", "tone")]
    assert compared.calls[0][1] == {"seeds": None, "device": "cpu", "precision": "auto"}
