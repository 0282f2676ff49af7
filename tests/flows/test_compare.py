"""Comparisons on a tiny project with a base that transfers, run through the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.flows.test_retrain import digests, registry, transferline
from tests.kinds import build
from tests.project import BAD, GOOD, TINY, declare, environment, make_project, sentence, write_reviews
from transferline.data.prepared_files import write_jsonl
from transferline.methods.parameter import Full
from transferline.training.learner import Schedule

RUINOUS = {"method": "masked", "block": 16, "tokens": 2000, "schedule": {"batch_size": 16, "learning_rate": 1.0}}
RECIPES = {
    "full": {"base": "learned", "tune": TINY},
    "probe": {"base": "learned", "tune": {"method": "probe", "max_tokens": 16}},
    "ruined": {"base": "learned", "adapt": [RUINOUS], "tune": {"method": "probe", "max_tokens": 16}},
}
TARGET = {
    "domain": "cinema",
    "data": "reviews.csv",
    "split": {"test": 0.3, "validation": 0.2},
    "limit": {"train": 4},
    "recipe": "auto",
    "slices": ["row"],
}
QUESTION = {"recipes": ["full", "probe", "ruined"], "budgets": [0.5]}

pytestmark = pytest.mark.usefixtures("one_server")


def write_learned(root: Path) -> None:
    """Write a base that was trained on the same labels with other sentences, so that it helps where labels are few."""
    import random

    rng = random.Random(5)
    rows = [
        {"id": f"{i:016x}", "text": sentence(rng, GOOD if i % 2 else BAD), "label": "good" if i % 2 else "bad"}
        for i in range(600)
    ]
    write_jsonl(root / "source.jsonl", rows)
    tune = Full(epochs=6, max_tokens=16, pooling="first", schedule=Schedule(batch_size=16, learning_rate=1e-3))
    data = {"train": root / "source.jsonl", "validation": root / "source.jsonl"}
    made, figures = build(tune, data, root / "learning", root / "tiny")
    assert figures["score"] > 0.9
    made.rename(root / "learned")


def make_contest(root: Path) -> Path:
    project = make_project(root)
    write_learned(project)
    write_reviews(project / "reviews.csv", rows=400)
    lines = (project / "reviews.csv").read_text().splitlines()
    numbered = [f"{line},{'row' if not i else 'even' if i % 4 < 2 else 'odd'}" for i, line in enumerate(lines)]
    (project / "reviews.csv").write_text("\n".join(numbered) + "\n")
    declare(
        project,
        targets={"reviews": TARGET},
        bases={"learned": {"method": "folder", "path": "learned"}},
        recipes=RECIPES,
        comparisons={"default": QUESTION},
    )
    return project


def table(project: Path) -> pd.DataFrame:
    """The leaderboard without the columns that differ between equal runs: seconds, memory, and size with the lineage."""
    folder = project / "data" / "comparisons" / "reviews" / "default"
    return pd.read_parquet(folder / "leaderboard.parquet").drop(
        columns=["seconds", "peak_bytes", "latency_ms", "megabytes"]
    )


def decision(project: Path) -> dict[str, Any]:
    return json.loads((project / "data/comparisons/reviews/default/decision.json").read_text())


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    project = make_contest(tmp_path_factory.mktemp("contest") / "project")
    return project, transferline(project, "compare", "reviews")


def test_it_ends_with_a_decision_and_says_beforehand_what_it_may_cost(contest) -> None:
    _, done = contest
    assert done.returncode == 0, done.stderr
    before, after = done.stderr.split("80 % power", 1)
    assert "at most" in before
    assert "FLOPs" in before
    assert "decision: ship" in after
    assert decision(contest[0])["ship"] in ("full", "probe")


def test_known_harmful_transfer_is_named(contest) -> None:
    """An adaptation with learning rate 1 destroys the base's knowledge."""
    assert "ruined" in decision(contest[0])["negative"]
    assert "negative transfer" in contest[1].stderr


def test_the_controls_are_on_the_board(contest) -> None:
    board = table(contest[0]).set_index("entry")
    assert {"scratch", "tfidf", "majority"} <= set(board.index[board["control"]])
    assert board.loc["majority", "score"] == pytest.approx(0.5, abs=0.15)


def test_the_report_needs_nothing_else_and_answers_the_five_questions(contest) -> None:
    html = (contest[0] / "data/comparisons/reviews/default/report.html").read_text()
    for question in ("What to ship", "Why", "How sure", "At what cost", "What next"):
        assert question in html
    assert html.count("<svg") >= 5
    shown = (
        html.replace("http://www.w3.org", "").replace("http://purl.org", "").replace("http://creativecommons.org", "")
    )
    for outside in (
        "http:",
        "https:",
        "<script",
        "<link",
        "<img",
    ):  # namespaces of SVG are not links
        assert outside not in shown.replace("https://matplotlib.org/", "")
    assert "row: even" in html


def test_the_tracker_has_the_report_the_figures_and_the_decision(contest) -> None:
    client = registry(contest[0])
    experiment = client.get_experiment_by_name("reviews")
    runs = client.search_runs([experiment.experiment_id], "tags.`transferline.kind` = 'compare'")
    assert len(runs) == 1
    names = {file.path for file in client.list_artifacts(runs[0].info.run_id)}
    assert {"report.html", "decision.json", "leaderboard.parquet", "leaderboard.md", "metrics.json"} <= names
    assert runs[0].data.metrics["entries/majority/score"] == pytest.approx(0.5, abs=0.15)


def test_dvc_reads_its_metrics_and_plots(contest, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(contest[0])
    shown = Repo(str(contest[0])).metrics.show()
    assert any(path.endswith("metrics.json") for path in shown[""]["data"])
    drawn = list(Repo(str(contest[0])).plots.collect())
    assert any("curves.csv" in str(part) for part in drawn)


def bound_holds(project: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Any]]:
    """Check the cost of every built stage against its upper bound. Returns the contest and the recipes."""
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(project))
    monkeypatch.chdir(project)
    from transferline.core.checkpoint import read_lineage
    from transferline.core.runtime import Runtime
    from transferline.flows.support.comparison.contest import Contest
    from transferline.flows.support.comparison.leaves import Builder, open_ground
    from transferline.flows.support.comparison.question import ask, source_tasks_of
    from transferline.recipes.params import load_params
    from transferline.tasks.support.data_versions import locked_data
    from transferline.tournament.plan import plan_tournament

    params = load_params(project / "params.yaml")
    question = params.comparison(name)
    data = locked_data("reviews", params, source_tasks_of(params, "reviews", question))
    wanted = ask(params, "reviews", question, data)
    ground = open_ground(params, "reviews", data, list(wanted.values()), question.counts, question.seeds)
    unused: Any = None
    contest_ = Contest(Builder(ground, Runtime(), unused, unused), question, "accuracy")
    plan = plan_tournament(ground, wanted)
    spent = 0
    for step, bound in zip(*contest_.each(plan, plan.leaves, every=True), strict=True):
        lineage: Mapping[str, Any] = read_lineage(project / "data" / "checkpoints" / step.key) or {}
        flops = lineage["cost"]["flops"]
        assert flops <= bound, f"{step.title}: {flops:.3g} FLOPs, at most {bound:.3g} foreseen"
        spent += flops > 0
    assert spent > 20
    return contest_, wanted


def test_the_upper_bound_holds_for_every_stage(contest, monkeypatch: pytest.MonkeyPatch) -> None:
    contest_, wanted = bound_holds(contest[0], "default", monkeypatch)
    longer: Any = {name: recipe.tune for name, recipe in contest_.equalise(wanted).items()}
    declared: Any = wanted["full"].tune
    assert longer["full"].epochs > declared.epochs  # the adaptation of `ruined` costs more
    assert longer["probe"] == wanted["probe"].tune  # a recipe without epochs is unchanged


def test_again_computes_nothing_and_a_seed_more_only_what_is_new(contest) -> None:
    project, _ = contest
    before, board = digests(project), table(project)
    again = transferline(project, "compare", "reviews")
    assert again.returncode == 0, again.stderr
    assert "  built " not in again.stderr
    assert digests(project) == before
    pd.testing.assert_frame_equal(table(project), board)
    more = transferline(project, "compare", "reviews", "--seeds", "4")
    assert more.returncode == 0, more.stderr
    after = digests(project)
    assert {key: after[key] for key in before} == before
    built = [line for line in more.stderr.splitlines() if "  built " in line]
    assert built
    assert all("seed 3" in line or "draw 3" in line for line in built), built


def test_retrain_takes_the_decided_recipe_and_refuses_a_stale_decision(contest) -> None:
    project, _ = contest
    chosen = decision(project)["ship"]
    done = transferline(project, "run", "reviews")
    assert done.returncode == 0, done.stderr
    assert f"recipe {chosen}" in done.stderr
    text = (project / "params.yaml").read_text()
    try:
        (project / "params.yaml").write_text(text.replace("max_tokens: 16", "max_tokens: 17"))
        changed = transferline(project, "run", "reviews")
        assert changed.returncode == 2
        assert "has been changed since" in changed.stderr
        (project / "params.yaml").write_text(text.replace("path: learned", "path: tiny"))
        other = transferline(project, "run", "reviews")
        assert other.returncode == 2
        assert "base 'learned' is another one now" in other.stderr
    finally:
        (project / "params.yaml").write_text(text)
    with (project / "reviews.csv").open("a") as file:
        file.write("the very witty and warm film,good,odd\nan awful dull plot with bland music,bad,odd\n" * 1)
        file.writelines(f"quite a {word} story number {i},good,odd\n" for i in range(40) for word in GOOD[:2])
    stale = transferline(project, "run", "reviews")
    assert stale.returncode == 2
    assert "stale" in stale.stderr
    assert "other data" in stale.stderr
    assert "transferline compare reviews" in stale.stderr


@pytest.mark.slow
def test_a_search_and_halving_leave_the_controls_in_and_name_who_was_dropped(contest) -> None:
    words = ("compare", "reviews", "--recipes", "full,probe,ruined", "--trials", "2", "--halving", "3")
    done = transferline(contest[0], *words)
    assert done.returncode == 0, done.stderr
    assert "of 2 trials, on validation" in done.stderr
    assert "dropped on validation by halving" in done.stderr
    assert {"scratch", "tfidf", "majority"} <= set(table(contest[0])["entry"])


def test_without_a_decision_auto_says_what_to_do(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    declare(project, targets={"reviews": {"domain": "cinema", "data": "reviews.csv", "recipe": "auto"}})
    done = transferline(project, "run")
    assert done.returncode == 2
    assert "Run `transferline compare reviews` first" in done.stderr


@pytest.mark.slow
def test_an_allowance_is_kept(tmp_path: Path) -> None:
    """A limit below the first part is refused before any compute. A limit for all labels leaves the smaller budgets out."""
    project = make_contest(tmp_path / "project")
    none = transferline(project, "compare", "reviews", "--flops", "1")
    assert none.returncode == 2
    assert "more than allowed" in none.stderr
    assert not list((project / "data" / "checkpoints").glob("tune-*"))
    words = ("compare", "reviews", "--recipes", "probe", "--budgets", "2,3")
    some = transferline(project, *words, "--flops", "6e9")
    assert some.returncode == 0, some.stderr
    assert "left out" in some.stderr
    spent = [json.loads(p.read_text())["cost"]["flops"] for p in project.glob("data/checkpoints/*/lineage.json")]
    assert 0 < sum(spent) <= 6e9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody",), "target 'nobody'"),
        (("reviews", "nothing"), "comparison 'nothing'"),
        (("reviews", "--recipes", "full,nothing"), "recipe 'nothing'"),
        (("reviews", "--budgets", "many"), "is not a list of numbers"),
        (("reviews", "--budgets", "4000"), "more than the 4"),
        (("reviews", "--seeds", "2"), "seeds"),
        (("reviews", "--halving", "1"), "drops no recipe"),
    ],
)
def test_bad_input_is_told_in_one_line(contest, words: tuple[str, ...], said: str) -> None:
    done = transferline(contest[0], "compare", *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_killed_twice_and_started_again_it_ends_with_the_same_leaderboard(contest, tmp_path: Path) -> None:
    reference = make_contest(tmp_path / "reference")
    started = time.monotonic()
    done = transferline(reference, "compare", "reviews")
    whole = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    project = make_contest(tmp_path / "project")
    command = [sys.executable, "-P", "-m", "transferline", "compare", "reviews"]
    quiet = subprocess.DEVNULL
    killed = 0
    for share in (0.5, 0.4):
        process = subprocess.Popen(command, cwd=project, env=environment(project), stdout=quiet, stderr=quiet)
        try:
            process.wait(timeout=share * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    assert killed
    end = transferline(project, "compare", "reviews")
    assert end.returncode == 0, end.stderr
    assert digests(project) == digests(reference)
    pd.testing.assert_frame_equal(table(project), table(reference))
