"""A run whose process is dead ends as KILLED at the next run; the run of a living process never does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transferline.tasks.support import run_owners, tracking
from transferline.tasks.support.mlflow_model import _within
from transferline.tasks.support.run_owners import BEAT, HOST, PID, SILENCE, STARTED, Heartbeat, is_dead, owner_tags

HOLDER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background with Ctrl-C ignored
from transferline.tasks.support.tracking import StageRun, TransferRun
with TransferRun("reviews", "own", 3, "t") as run, StageRun(run.run_id, run.experiment_id, "tune", {}, {}):
    print("open", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    monkeypatch.setattr(tracking, "commit", lambda: "c")
    return tmp_path


def statuses(target: str) -> list[str]:
    where = tracking.experiment(target)
    return sorted(run.info.status for run in tracking.client().search_runs([where]))


def start() -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_this_process_lives_and_one_that_took_its_number_is_another() -> None:
    mine = owner_tags()
    assert not is_dead(mine)
    assert is_dead({**mine, STARTED: f"{float(mine[STARTED]) - 86400:.2f}"})
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_dead({**mine, PID: str(ended.pid)})


def test_a_process_of_another_machine_is_dead_when_it_is_silent() -> None:
    now = time.time()
    elsewhere = {HOST: "elsewhere", PID: "1", BEAT: f"{now:.0f}"}
    assert not is_dead(elsewhere, now + SILENCE - 2)
    assert is_dead(elsewhere, now + SILENCE + 2)


@pytest.mark.parametrize("tags", [{}, {HOST: os.uname().nodename}, {HOST: "elsewhere", PID: "1"}, {PID: "4"}])
def test_runs_without_a_known_owner_are_left_alone(tags: dict[str, str]) -> None:
    assert not is_dead(tags)


def test_a_heartbeat_is_sent_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_owners, "EVERY", 0.02)
    sent: list[dict[str, str]] = []
    heart = Heartbeat(sent.append)
    deadline = time.monotonic() + 10
    while len(sent) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    heart.stop()
    assert len(sent) >= 3
    assert all(one[BEAT].isdecimal() for one in sent)


def test_after_sigkill_the_next_run_of_another_target_closes_run_and_stage() -> None:
    process = start()
    with tracking.TransferRun("plays", "own", 3, "t"):
        assert statuses("reviews") == ["RUNNING", "RUNNING"]  # its process lives
        assert statuses("plays") == ["RUNNING"]
    assert statuses("reviews") == ["RUNNING", "RUNNING"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert statuses("reviews") == ["RUNNING", "RUNNING"]  # nobody could end them
    with tracking.TransferRun("plays", "own", 3, "t"):
        assert statuses("reviews") == ["KILLED", "KILLED"]
    assert statuses("plays") == ["FINISHED", "FINISHED"]


def test_an_interrupted_process_ends_its_own_runs() -> None:
    process = start()
    process.send_signal(signal.SIGINT)
    process.wait()
    assert statuses("reviews") == ["KILLED", "KILLED"]


def test_a_run_stays_running_while_its_models_are_logged() -> None:
    with tracking.TransferRun("reviews", "own", 3, "t") as run:
        with _within(run.run_id):
            assert statuses("reviews") == ["RUNNING"]
        assert statuses("reviews") == ["RUNNING"]
        with pytest.raises(OSError, match="full"), _within(run.run_id):
            raise OSError("full")
        assert statuses("reviews") == ["RUNNING"]
    assert statuses("reviews") == ["FINISHED"]
