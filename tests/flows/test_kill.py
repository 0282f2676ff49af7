"""SIGKILL at random moments: the next run ends with the same digests as a run that was never killed."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.flows.test_retrain import digests, registry, transferline
from tests.project import TINY, declare, environment, make_project
from transferline.tasks.support.orphans import MARK


def start(project: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "transferline", "run"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=project, env=environment(project), stdout=quiet, stderr=quiet)


def kill_after(project: Path, seconds: float) -> bool:
    """Start a run and SIGKILL it after some seconds. Returns whether it was still running."""
    process = start(project)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def left_behind(project: Path) -> list[psutil.Process]:
    """Processes of this project that have lost their run."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("TRANSFERLINE_ROOT") == str(project)
            parent = process.environ().get(MARK, "")
        except (psutil.Error, OSError):
            continue
        if mine and parent and not psutil.pid_exists(int(parent)):
            found.append(process)
    return found


def check_end(project: Path, reference: Path) -> None:
    """Check that the project is in the state of a run that was never killed."""
    store = project / "data" / "checkpoints"
    assert digests(project) == digests(reference)
    assert {p.name for p in store.glob("*-*") if not (p / "record.json").exists()} == set()
    assert not list((store / ".making").iterdir())
    assert not list((store / ".state").iterdir())
    keys = [v.tags["transferline.key"] for v in registry(project).search_model_versions("name = 'reviews'")]
    assert len(keys) == len(set(keys)) == len(registry(reference).search_model_versions("name = 'reviews'"))
    client = registry(project)
    runs = client.search_runs([client.get_experiment_by_name("reviews").experiment_id], max_results=1000)
    assert "RUNNING" not in {run.info.status for run in runs}
    time.sleep(2)  # give ending servers time
    assert not left_behind(project)


def reference_of(folder: Path) -> Path:
    reference = make_project(folder / "reference")
    done = transferline(reference, "run")
    assert done.returncode == 0, done.stderr
    return reference


def test_killed_and_run_again_ends_as_if_never_killed(tmp_path: Path) -> None:
    started = time.monotonic()
    reference = reference_of(tmp_path)
    whole = time.monotonic() - started
    project = make_project(tmp_path / "project")
    assert kill_after(project, 0.5 * whole)
    done = transferline(project, "run")
    assert done.returncode == 0, done.stderr
    check_end(project, reference)
    before = digests(project)  # a deleted checkpoint is also rebuilt to the same digest
    shutil.rmtree(project / "data" / "checkpoints" / next(key for key in before if key.startswith("adapt-")))
    done = transferline(project, "run")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("  built ") == 1
    assert digests(project) == before


@pytest.mark.slow
def test_killed_ten_times_at_random_and_run_again_ends_as_if_never_killed(tmp_path: Path) -> None:
    started = time.monotonic()
    reference = reference_of(tmp_path)
    whole = time.monotonic() - started
    project = make_project(tmp_path / "project")
    rng = random.Random(time.time_ns())
    moments = [rng.uniform(0.05, 0.95) * whole for _ in range(10)]
    killed = [kill_after(project, moment) for moment in moments]
    assert sum(killed) >= 5, f"moments {moments} of {whole}"
    done = transferline(project, "run")
    assert done.returncode == 0, done.stderr
    check_end(project, reference)


def test_a_run_that_is_told_to_end_saves_its_training_first(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    # one long training, which saves only every thirty seconds by itself
    long = {**TINY, "epochs": 3000, "patience": 3000}
    declare(project, recipes={"default": {"base": "tiny", "tune": long}})
    with (tmp_path / "output.txt").open("wb") as out:
        command = [sys.executable, "-P", "-m", "transferline", "run", "reviews"]
        process = subprocess.Popen(command, cwd=project, env=environment(project), stdout=out, stderr=out)
    while "loss=" not in (tmp_path / "output.txt").read_text(errors="replace") and process.poll() is None:
        time.sleep(0.2)
    process.terminate()
    assert process.wait(timeout=60) != 0
    saved = [path.name for path in (project / "data" / "checkpoints" / ".state").glob("*/at-*")]
    assert len(saved) == 1, (tmp_path / "output.txt").read_text(errors="replace")
    assert int(saved[0].removeprefix("at-")) > 0


def test_two_runs_at_once_build_everything_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    (project / "mlruns" / "mlflow.db").unlink()  # both runs then create its tables at the same time
    processes = [start(project) for _ in range(2)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    client = registry(project)
    runs = client.search_runs([client.get_experiment_by_name("reviews").experiment_id], max_results=1000)
    children = [run.data.params["key"] for run in runs if run.data.tags["transferline.kind"] == "stage"]
    assert len(children) == len(set(children)) == len(digests(project))
    keys = [v.tags["transferline.key"] for v in client.search_model_versions("name = 'reviews'")]
    assert len(keys) == len(set(keys))
