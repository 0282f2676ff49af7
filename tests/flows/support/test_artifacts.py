"""What a run shows: the plan, the report and where to look."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.recording import Recorder, record
from transferline.core.checkpoint import Checkpoint
from transferline.core.problem import Setting
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.report import Group, make_report
from transferline.evaluation.verdict import Verdict
from transferline.flows.support import artifacts
from transferline.flows.support.artifacts import announce, publish_report, settings_told, show_chain
from transferline.methods.parameter import Probe
from transferline.models.bases import FolderBase
from transferline.recipes.chain import Chain, Pin, Step
from transferline.tasks.registering import Registration
from transferline.tasks.support.caching import Built

BASE = Step("base", FolderBase(method="folder", path="tiny"), role="base")
TUNE = Step("tune", Probe(), (BASE.key,), (("train", "m1"),), 0, "challenger")
CHAIN = Chain("reviews", "probe", Setting.UNKNOWN, (BASE, TUNE), {"challenger": (TUNE.key,)})


class Run:
    """An MLflow run that records what it is given."""

    run_id, experiment_id = "run-12345", "7"

    def __init__(self) -> None:
        self.log, self.text, self.tag, self.dataset, self.figure = (Recorder() for _ in range(5))


def group(role: str, share: float) -> Group:
    y_true = np.arange(100) % 2
    said = np.where(np.arange(100) < 100 * share, y_true, 1 - y_true)
    ids = tuple(f"{i:016x}" for i in range(100))
    made = Predictions(ids, ("a", "b"), y_true, np.stack([said == 0, said == 1], axis=1).astype(float))
    return Group(role, (f"{role}-0",), (made,), (Path("/nowhere"),), 0, {"latency_ms": 1.5, "model_bytes": 2e6})


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every line of text that the console is given."""
    lines: list[str] = []
    monkeypatch.setattr(artifacts, "console", SimpleNamespace(print=lambda line: lines.append(str(line))))
    return lines


def test_the_plan_says_how_much_is_reused(printed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    page = record(monkeypatch, artifacts, "create_markdown_artifact")
    monkeypatch.setattr(artifacts, "reusable", lambda chain: {BASE.key: True, TUNE.key: False})
    show_chain(CHAIN)
    assert printed == ["reviews  recipe probe, setting unknown: 2 steps, 1 of them reused"]
    assert page.only[1]["key"] == "chain-reviews"


def test_the_settings_of_sources_are_told_beside_the_bases() -> None:
    assert settings_told(CHAIN) == "unknown"
    with_source = Chain("t", "r", Setting.UNKNOWN, CHAIN.steps, {}, {"plays": Setting.INDUCTIVE})
    assert settings_told(with_source) == "unknown, from plays inductive"


def publish(run: Any) -> dict[str, str]:
    shares = {"challenger": 0.9, "unadapted": 0.6, "scratch": 0.5, "tfidf": 0.5}
    groups = {role: group(role, share) for role, share in shares.items()}
    report = make_report("accuracy", groups, None, False, [], 3)
    verdict = Verdict("promote", "challenger", TUNE.key, "superior", ("better than the unadapted control",))
    registration = Registration("reviews", {"challenger": "4"})
    built = {
        BASE.key: Built(Checkpoint(key=BASE.key, digest="", run_id="first-run"), True),
        TUNE.key: Built(Checkpoint(key=TUNE.key, digest="", run_id="run-12345"), False),
    }
    publish_report(
        run,
        CHAIN,
        groups,
        report=report,
        verdict=verdict,
        registration=registration,
        profiles={},
        built=built,
        data={"test": Pin(Path("t"), "m9")},
    )
    return announce(run, CHAIN, report, verdict, registration, "4")


def test_the_outcome_is_recorded_shown_and_told(
    bare: Path, printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, told = Run(), record(monkeypatch, artifacts, "tell")
    page = record(monkeypatch, artifacts, "create_markdown_artifact")
    outcome = publish(run)
    assert outcome["decision"] == "promote"
    assert (outcome["model"], outcome["champion"], outcome["run"]) == ("reviews", "4", "run-12345")
    text = page.only[0][0]
    assert f"| {BASE.title} | `{BASE.key}` | reused from | [first-ru](#/experiments/7/runs/first-run) |" in text
    assert f"| {TUNE.title} | `{TUNE.key}` | built in |" in text
    assert [args[1] for args, _ in run.text.calls] == ["report.md", "environment.txt"]
    assert run.tag.only[0][0]["transferline.verdict"] == "promote"
    assert run.dataset.only[0] == ("reviews-test", "m9", Path("t"), "test")
    assert {args[1] for args, _ in run.figure.calls} >= {"figures/scores.png"}
    assert run.log.only[0][0]["test/rows"] == 100
    assert told.only[0][:2] == ("verdict", "reviews")
    assert any("challenger is version 4; champion is version 4" in line for line in printed)
    assert any("better than the unadapted control" in line for line in printed)


def test_servers_that_run_are_named_and_others_are_told_how_to_start(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Any = Run()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow, prefect = artifacts._where_to_look(run)
    assert "mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db " in mlflow
    assert mlflow.endswith("/#/experiments/7/runs/run-12345")
    assert "prefect server start" in prefect
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow/")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect/api")
    assert artifacts._where_to_look(run) == [
        "look:  http://mlflow/#/experiments/7/runs/run-12345",
        "       http://prefect",
    ]
