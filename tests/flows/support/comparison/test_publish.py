"""Files of a comparison: what a decision was reached on, and what DVC reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.recording import Recorder, record
from tests.tournament.made import world
from transferline.flows.support.comparison import publish as module
from transferline.flows.support.comparison.publish import folder_of, publish, write_files
from transferline.tournament.leaderboard import Evidence, make_board
from transferline.tournament.result import Result, make_result


class Run:
    """An MLflow run that records what it is given."""

    run_id, experiment_id = "run-1", "7"

    def __init__(self) -> None:
        self.log, self.tag, self.dataset, self.file = (Recorder() for _ in range(4))


@pytest.fixture
def evidence(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    monkeypatch.setattr("transferline.tournament.statistics.RESAMPLES", 200)
    record(monkeypatch, module, "commit", "abcdef0123456789")
    return world(tmp_path, ["full", "probe"], {"full": 1.0})


@pytest.fixture
def result(evidence: Evidence) -> Result:
    return make_result(
        "reviews", "default", evidence, make_board(evidence), between={}, contaminated=[], looks=7, notes=["a note"]
    )


def test_a_decision_names_all_that_it_was_reached_on(bare: Path, evidence: Evidence, result: Result) -> None:
    files = write_files(evidence, result, "run-1")
    folder = bare / "data" / "comparisons" / "reviews" / "default"
    assert folder_of("reviews", "default") == folder
    decision = json.loads((folder / "decision.json").read_text())
    data = evidence.tournament.ground.data
    assert decision["data"] == {role: pin.md5 for role, pin in data.items()}
    assert decision["base"]["name"] == "b"
    assert decision["base"]["key"] in evidence.tournament.steps
    assert set(decision["models"]) == {leaf.key for leaf in evidence.leaves(result.board.winner)}
    assert (decision["run"], decision["commit"], decision["comparison"]) == ("run-1", "abcdef0123456789", "default")
    assert folder / "dvc.yaml" not in files  # it describes the others
    assert {path.name for path in files} >= {"report.html", "leaderboard.md", "metrics.json", "models.parquet"}


def test_dvc_and_the_tables_name_the_same_entries(bare: Path, evidence: Evidence, result: Result) -> None:
    write_files(evidence, result, "run-1")
    folder = folder_of("reviews", "default")
    declared = yaml.safe_load((folder / "dvc.yaml").read_text())
    assert declared["metrics"] == ["metrics.json"]
    columns = declared["plots"][0]["label curves"]["y"]["curves.csv"]
    with (folder / "curves.csv").open() as file:
        assert set(columns) <= set(csv.DictReader(file).fieldnames or ())
    assert {"full", "probe"} <= set(columns)
    assert "majority" not in columns
    with (folder / "leaderboard.csv").open() as file:
        entries = [row["entry"] for row in csv.DictReader(file)]
    assert entries == list(pd.read_parquet(folder / "leaderboard.parquet")["entry"])


def test_the_result_is_recorded_shown_and_told(
    bare: Path, evidence: Evidence, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    lines: list[str] = []
    monkeypatch.setattr(module, "console", SimpleNamespace(print=lambda line: lines.append(str(line))))
    page = record(monkeypatch, module, "create_markdown_artifact")
    link = record(monkeypatch, module, "create_link_artifact")
    told = record(monkeypatch, module, "tell")
    run: Any = Run()
    outcome = publish(run, evidence, result)
    assert outcome["headline"] == result.decision.headline
    assert outcome["report"] == str(folder_of("reviews", "default") / "report.html")
    assert link.only[0][0] == Path(outcome["report"]).as_uri()
    assert page.only[1]["key"] == "compare-reviews-default"
    assert told.only[0] == ("decision", "reviews", result.decision.headline)
    assert run.tag.only[0][0]["transferline.comparison"] == "default"
    assert len(run.dataset.calls) == len(evidence.tournament.ground.data)
    assert "  note:  a note" in lines
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow/")
    publish(run, evidence, result)
    assert link.calls[1][0][0] == "http://mlflow/#/experiments/7/runs/run-1/artifacts/report.html"
