"""`transferline run` on a tiny project, through the command line, each in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.project import declare, environment, make_project, write_reviews
from tests.recording import record
from transferline.core.checkpoint import Checkpoint, intact
from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.data.declarations import TargetSpec
from transferline.data.input_form import InputForm
from transferline.flows import retrain as module
from transferline.tasks.registering import Champion


def transferline(project: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "transferline", *words]
    return subprocess.run(
        command, cwd=project, env=environment(project, **extra), capture_output=True, text=True, check=False
    )


def registry(project: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A project after one run of its default recipe."""
    project = make_project(tmp_path_factory.mktemp("line") / "project")
    # on this synthetic text tiny bases lose to TF-IDF: only the widest margin lets one be promoted
    declare(
        project,
        targets={"reviews": {"domain": "cinema", "data": "reviews.csv", "split": {"test": 0.3, "validation": 0.2}}},
    )
    return project, transferline(project, "run")


def digests(project: Path) -> dict[str, str]:
    return {
        path.parent.name: json.loads(path.read_text())["digest"]
        for path in (project / "data" / "checkpoints").glob("*-*/lineage.json")
    }


def test_the_line_works_whatever_the_verdict(line) -> None:
    _, done = line
    assert done.returncode == 0, done.stderr
    for said in ("challenger", "unadapted", "scratch", "tfidf", "verdict:", "registered model reviews", "MLflow run"):
        assert said in done.stderr


def test_progress_is_shown_on_long_steps(line) -> None:
    assert "tokens/s" in line[1].stderr
    assert "loss=" in line[1].stderr


def test_again_computes_nothing_and_says_so_of_every_stage(line) -> None:
    project, _ = line
    before = digests(project)
    done = transferline(project, "run")
    assert done.returncode == 0, done.stderr
    assert "built " not in done.stderr
    assert done.stderr.count("  reused ") == len(before)
    assert digests(project) == before
    versions = registry(project).search_model_versions("name = 'reviews'")
    keys = [version.tags["transferline.key"] for version in versions]
    assert len(keys) == len(set(keys))


def test_the_tracker_holds_one_parent_and_a_child_for_every_stage_that_was_built(line) -> None:
    project, _ = line
    client = registry(project)
    experiment = client.get_experiment_by_name("reviews")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = [run for run in runs if run.data.tags["transferline.kind"] == "retrain"]
    children = [run for run in runs if run.data.tags["transferline.kind"] == "stage"]
    assert len(children) == len(digests(project))
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parents[-1].info.run_id}
    tune = next(run for run in children if run.info.run_name == "challenger full seed 0")
    assert len(client.get_metric_history(tune.info.run_id, "loss")) > 1
    inputs = {i.dataset.name: {t.key: t.value for t in i.tags} for i in tune.inputs.dataset_inputs}
    assert inputs["reviews-train"]["dvc.md5"] in (project / "dvc.lock").read_text()
    assert tune.data.params["key"].startswith("tune-")
    artifacts = {a.path for a in client.list_artifacts(parents[0].info.run_id, "figures")}
    assert {"figures/confusion-challenger.png", "figures/reliability-challenger.png", "figures/scores.png"} <= artifacts
    assert "figures/loss.png" in {a.path for a in client.list_artifacts(tune.info.run_id, "figures")}


def test_the_registered_version_knows_where_it_comes_from(line) -> None:
    project, _ = line
    version = registry(project).get_model_version_by_alias("reviews", "challenger")
    lineage = json.loads(
        (project / "data" / "checkpoints" / version.tags["transferline.key"] / "lineage.json").read_text()
    )
    assert version.tags["transferline.digest"] == lineage["digest"]
    assert version.tags["transferline.data.train"] == lineage["data"]["train"]
    assert "## Verdict" in version.description


FRESH = """
import sys, json, mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/reviews@challenger")
texts = [json.loads(line)["text"] for line in open(sys.argv[2])]
out = model.predict(pd.DataFrame({"text": texts}))
print(json.dumps(out.to_dict("records")))
"""


def test_a_fresh_process_gives_the_evaluations_own_predictions(line) -> None:
    """The model is loaded by MLflow, in a process that imports only the code logged with it. Every digit is the same."""
    import pandas as pd

    from transferline.recipes.chain import predict_step

    project, _ = line
    uri = f"sqlite:///{project / 'mlruns' / 'mlflow.db'}"
    version = registry(project).get_model_version_by_alias("reviews", "challenger")
    test = project / "data" / "prepared" / "cinema" / "reviews" / "test.jsonl"
    command = [sys.executable, "-c", FRESH, uri, str(test)]
    done = subprocess.run(
        command, cwd=project.parent, env=environment(project), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    served = json.loads(done.stdout.strip().splitlines()[-1])
    lock = (project / "dvc.lock").read_text()
    key = version.tags["transferline.key"]
    folders = (project / "data" / "checkpoints").glob("predict-*")
    lineages = {f: json.loads((f / "lineage.json").read_text()) for f in folders}
    folder = next(f for f, lineage in lineages.items() if lineage["parents"] == [key])
    assert folder.name == predict_step(key, lineages[folder]["data"]["test"]).key
    assert lineages[folder]["data"]["test"] in lock
    kept = pd.read_parquet(folder / "predictions.parquet")
    assert [row["prediction"] for row in served] == kept["predicted"].tolist()
    for column in [column for column in kept.columns if column.startswith("p:")]:
        assert [row[column] for row in served] == kept[column].tolist()


def test_plan_computes_nothing_and_says_what_would_be_reused(line) -> None:
    project, _ = line
    before = sorted(str(p) for p in project.rglob("*"))
    done = transferline(project, "plan", "reviews", "default")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("reuse") == 12
    other = transferline(project, "plan", "reviews", "masked").stdout
    assert "build" in other
    assert "reuse" in other  # the base and all controls
    assert sorted(str(p) for p in project.rglob("*")) == before


@pytest.mark.slow
def test_a_champion_whose_checkpoint_is_gone_comes_back_from_the_registry(tmp_path: Path) -> None:
    """New data, an existing champion, and a store without its checkpoint."""
    import shutil

    project = make_project(tmp_path / "project")
    assert transferline(project, "run", "reviews", "full").returncode == 0
    client = registry(project)
    version = client.get_model_version_by_alias("reviews", "challenger")
    client.set_registered_model_alias("reviews", "champion", version.version)
    again = transferline(project, "run", "reviews", "full")
    assert "verdict: unchanged" in again.stderr
    write_reviews(project / "reviews.csv", 300, seed=5)
    shutil.rmtree(project / "data" / "checkpoints")
    done = transferline(project, "run", "reviews", "full")
    assert done.returncode == 0, done.stderr
    assert "challenger against champion" in done.stderr
    assert intact(project / "data" / "checkpoints" / version.tags["transferline.key"])


def rewrite_labels(project: Path, **names: str) -> None:
    """Give some labels of the reviews new names."""
    text = (project / "reviews.csv").read_text()
    for old, new in names.items():
        text = text.replace(f",{old}\n", f",{new}\n").replace(f",{old}\r\n", f",{new}\r\n")
    (project / "reviews.csv").write_text(text)


@pytest.mark.slow
def test_labels_come_and_go_under_a_champion(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    reviews = {"domain": "cinema", "data": "reviews.csv", "split": {"test": 0.3, "validation": 0.2}}
    reviews |= {"recipe": "probe", "margin": 0.9, "proof": "margin"}
    declare(project, targets={"reviews": reviews})
    assert "verdict: promote" in transferline(project, "run").stderr
    with (project / "reviews.csv").open("a") as file:
        file.writelines(f"neither this nor that {i},neutral\n" for i in range(40))
    more = transferline(project, "run")
    assert more.returncode == 0, more.stderr
    assert "challenger against champion" in more.stderr
    client = registry(project)
    report = client.get_model_version_by_alias("reviews", "challenger").description
    assert "label 'neutral' is new: the champion is wrong on its rows" in transferline(project, "plan").stdout or report
    rewrite_labels(project, good="fine")
    gone = transferline(project, "run")
    assert gone.returncode == 2
    assert "its champion predicts labels that the data no longer have: ['good']" in gone.stderr
    assert "former_labels" in gone.stderr
    assert "built " not in gone.stderr
    declare(project, targets={"reviews": {**reviews, "former_labels": {"good": "fine"}}})
    renamed = transferline(project, "run")
    assert renamed.returncode == 0, renamed.stderr
    assert "challenger against champion" in renamed.stderr
    declare(project, targets={"reviews": {**reviews, "former_labels": "fresh"}})
    assert transferline(project, "plan").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nothing"), "target 'nothing': not declared"),
        (("run", "reviews", "magic"), "recipe 'magic': not declared"),
        (("plan", "reviews", "magic"), "Declared are"),
        (("run", "reviews", "--seeds", "1"), "too few for a verdict"),
    ],
)
def test_a_wrong_name_is_refused_with_exit_code_two(line, words: tuple[str, ...], said: str) -> None:
    done = transferline(line[0], *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_data_fails_the_run_with_one_clear_message(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    write_reviews(project / "reviews.csv", 60)
    with (project / "reviews.csv").open("ab") as file:
        file.write(b"br\xffken,good\n")
    done = transferline(project, "run")
    assert done.returncode == 2
    assert "line 62: byte 0xff is not UTF-8. Convert the file" in done.stderr
    assert "Traceback" not in done.stderr


class Opened:
    """A runner or an MLflow run that is open for the length of a block."""

    def __init__(self, *_: object) -> None: ...
    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None: ...


class Planned:
    """A line and its chain, both at once: of the target `reviews` and the recipe that was chosen."""

    def __init__(self, target: str, recipe: str | None, *_: object) -> None:
        self.target, self.recipe = target, recipe or "default"
        self.seeds, self.runtime, self.spec, self.params = 3, Runtime(), SPEC, "params"

    def source_tasks(self) -> tuple[str, ...]:
        return ("plays",)

    def settled(self, _: object) -> Planned:
        return self

    def plan(self, _: object) -> Planned:
        return self


SPEC = TargetSpec(domain="d", data="reviews.csv", html=True)
TASKS = ("report_on", "decide", "approve", "register", "publish_report", "crown", "announce")
PARTS = (
    "begin",
    "pin_data",
    "check_champion_labels",
    "show_chain",
    "build_chain",
    "find_champion",
    "predict_all",
    *TASKS,
)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The parts of a retrain, each of which returns its own name, and the order in which they are called."""
    order: list[str] = []

    class Report:
        candidates = ("a candidate",)

    def part(name: str) -> Any:
        def answer(*_: object, **__: object) -> Any:
            order.append(name)
            return Report() if name == "report_on" else name

        return record(monkeypatch, module, name, answer)

    made = {name: part(name) for name in PARTS}
    monkeypatch.setattr(module, "open_line", Planned)
    monkeypatch.setattr(module, "open_runner", Opened)
    monkeypatch.setattr(module, "TransferRun", type("Run", (Opened,), {"run_id": "run-1"}))
    for name in ("request_of", "read_profiles", "profile_paths"):
        record(monkeypatch, module, name, name)
    return made, order


def test_the_verdict_comes_before_the_registration_and_the_alias_moves_last(parts: Any) -> None:
    made, order = parts
    champion = Champion(Checkpoint(key="tune-old", digest=""), "3")
    made["find_champion"].returns = lambda target: champion
    assert module.retrain.fn("reviews", "own", device="cpu") == "announce"
    assert order == [name for name in PARTS if name != "find_champion"]
    assert made["pin_data"].only[0] == ("reviews", "params", ("plays",))
    assert made["decide"].only[0] == (SPEC, ("a candidate",), "tune-old")
    given, named = made["register"].only
    assert given[2] == "decide"
    form = InputForm("single-label", html=True)
    assert named == {"form": form, "run_id": "run-1"}
    assert made["crown"].only[0] == ("register", "decide", champion, "approve")


def test_without_a_champion_the_verdict_has_none_to_compare(parts: Any) -> None:
    made, _ = parts
    made["find_champion"].returns = lambda target: None
    module.retrain.fn("reviews")
    assert made["decide"].only[0][2] is None


def test_data_that_cannot_be_read_stop_the_line_before_anything_is_built(parts: Any) -> None:
    made, order = parts

    def refuse(*_: object) -> None:
        raise InputError("data", "wrong", "mend it")

    made["pin_data"].returns = refuse
    with pytest.raises(InputError, match="data: wrong"):
        module.retrain.fn("reviews")
    assert order == ["begin"]
