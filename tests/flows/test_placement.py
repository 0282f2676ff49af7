"""GPU stages in child processes: at most one per device, and a killed stage is continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.test_kill import reference_of
from tests.flows.test_retrain import digests, registry, transferline
from tests.project import environment, make_project


def slots(project: Path, **extra: str) -> dict[str, str]:
    return environment(project, TRANSFERLINE_GPU_SLOTS="2", TRANSFERLINE_SLOTS=str(project.parent / "slots"), **extra)


def children(project: Path) -> list[psutil.Process]:
    """The child processes that compute stages of a project at the same time."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if "transferline.tasks.support.child" in line and str(project) in line[-1]:
                found.append(process)
        except psutil.Error:
            continue
    # one may end and another start while this looks: only those that still run have run at the same time
    return [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def gpu_runs(project: Path) -> list[Any]:
    """MLflow runs of the stages that used a device, in the order of their start."""
    client = registry(project)
    names = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(names, "attributes.status = 'FINISHED'", max_results=1000)
    held = [run for run in runs if run.data.params.get("runtime.visible", "all") != "all"]
    return sorted(held, key=lambda run: run.info.start_time)


def check_devices(runs: list[Any], most: int = 2) -> None:
    """Check at every start of a stage that at most `most` stages run, on different devices."""
    assert {run.data.params["runtime.visible"] for run in runs} == {"0", "1"}
    for run in runs:
        now = [r for r in runs if r.info.start_time <= run.info.start_time < r.info.end_time]
        assert len(now) <= most
        assert len({r.data.params["runtime.visible"] for r in now}) == len(now)


@pytest.mark.slow
def test_two_runs_share_two_devices_and_lose_none_when_one_is_killed(tmp_path: Path) -> None:
    reference = reference_of(tmp_path)
    project = make_project(tmp_path / "project")
    command = [sys.executable, "-P", "-m", "transferline", "run", "reviews"]
    quiet = subprocess.DEVNULL
    first, second = (
        subprocess.Popen([*command, recipe], cwd=project, env=slots(project), stdout=quiet, stderr=quiet)
        for recipe in ("default", "full")
    )
    most = 0
    deadline = time.monotonic() + 240
    while not most and time.monotonic() < deadline:
        most = max(most, len(children(project)))
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    while second.poll() is None and time.monotonic() < deadline:
        most = max(most, len(children(project)))
        time.sleep(0.05)
    assert second.wait(timeout=240) == 0
    assert most == 2
    assert not children(project)  # child processes end with their run
    done = subprocess.run([*command, "default"], cwd=project, env=slots(project), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_devices(gpu_runs(project))
    same = {key: digest for key, digest in digests(project).items() if key in digests(reference)}
    assert same == digests(reference)


@pytest.mark.slow
def test_a_stage_that_is_killed_goes_on_and_one_that_always_dies_is_given_up(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    command = [sys.executable, "-P", "-m", "transferline", "run", "reviews", "full"]
    run = subprocess.Popen(command, cwd=project, env=slots(project), stderr=subprocess.PIPE, text=True)
    killed, deadline = set(), time.monotonic() + 240
    while not killed and time.monotonic() < deadline:
        for child in children(project):
            killed.add(child.pid)
            child.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    _, said = run.communicate(timeout=240)
    assert run.returncode == 0, said
    assert "SIGKILL (out of memory, most likely); start 1 of 3" in said
    poisoned = make_project(tmp_path / "poisoned")
    run = subprocess.Popen(command, cwd=poisoned, env=slots(poisoned), stderr=subprocess.PIPE, text=True)
    while run.poll() is None and time.monotonic() < deadline + 240:
        for child in children(poisoned):
            child.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "its process died 3 times, the last time by SIGKILL" in said


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        pytest.param(
            {"TRANSFERLINE_GPUS_PER_STAGE": "2", "TRANSFERLINE_GPU_SLOTS": "1"},
            "2 GPUs for one stage",
            marks=pytest.mark.slow,
        ),
        ({"TRANSFERLINE_GPU_SLOTS": "0"}, "this machine has no GPU"),
        ({"TRANSFERLINE_PLACEMENT": "moon"}, "'moon' is not local, workers or ray"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_computed(
    extra: dict[str, str], said: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project")
    done = transferline(project, "run", "reviews", "full", "--device", "cuda", **extra)
    assert done.returncode == 2
    assert said in done.stderr
    assert not digests(project)


@pytest.mark.slow
def test_on_ray_two_devices_are_shared_and_a_killed_stage_goes_on_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (pip install 'transferline[ray]')")
    from prefect.testing.utilities import prefect_test_harness

    reference = reference_of(tmp_path)
    project = make_project(tmp_path / "project")
    with prefect_test_harness(server_startup_timeout=120):
        from prefect.settings import PREFECT_API_URL

        ray = slots(project, TRANSFERLINE_PLACEMENT="ray", PREFECT_API_URL=str(PREFECT_API_URL.value()))
        command = [sys.executable, "-P", "-m", "transferline", "run", "reviews"]
        run = subprocess.Popen(
            command, cwd=project, env=ray, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        victim = _kill_a_stage_on_ray(project)
        said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert victim, said
    runs = gpu_runs(project)
    check_devices(runs)
    assert digests(project) == digests(reference)


def _kill_a_stage_on_ray(project: Path) -> int:
    """SIGKILL the Ray worker that trains a stage, once. Returns its pid."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        making = list((project / "data" / "checkpoints" / ".making").glob("tune-*"))
        for process in psutil.process_iter():
            try:
                if making and process.name().startswith("ray::tune") and process.pid != os.getpid():
                    process.send_signal(signal.SIGKILL)
                    return process.pid
            except psutil.Error:
                continue
        time.sleep(0.05)
    return 0
