"""Where a stage is built, and how often a process that dies is started again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.recording import record
from transferline.core.checkpoint import Checkpoint
from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.methods.objectives import Masked
from transferline.models.bases import FolderBase
from transferline.recipes.chain import Step
from transferline.tasks import placing
from transferline.tasks.placing import (
    IN_FLIGHT,
    StageDied,
    build_on_a_slot,
    build_step,
    gpus_per_stage,
    most_starts,
    open_runner,
    placement,
)
from transferline.tasks.support.build_request import Request

AUTO, CPU, CUDA = Runtime(), Runtime(device="cpu"), Runtime(device="cuda")
DONE = Checkpoint(key="adapt-1", digest="d")


@pytest.fixture(autouse=True)
def two_devices(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "2")
    monkeypatch.setenv("TRANSFERLINE_SLOTS", str(bare / "slots"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def request(gpu: bool = True, runtime: Runtime = AUTO) -> Request:
    stage = Masked() if gpu else FolderBase(method="folder", path="tiny")
    assert stage.gpu == gpu
    return Request(Step("adapt" if gpu else "base", stage, role="challenger"), {}, runtime)


def test_defaults_and_declared_values(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (placement(), most_starts(), gpus_per_stage()) == ("local", 3, 1.0)
    for name, value in (("PLACEMENT", "workers"), ("MOST_STARTS", "5"), ("GPUS_PER_STAGE", "0.5")):
        monkeypatch.setenv(f"TRANSFERLINE_{name}", value)
    assert (placement(), most_starts(), gpus_per_stage()) == ("workers", 5, 0.5)


@pytest.mark.parametrize(
    ("runtime", "place", "threads"),
    [(AUTO, "local", 3), (CUDA, "local", 3), (CPU, "local", 1), (AUTO, "workers", IN_FLIGHT)],
)
def test_threads_of_a_run(runtime: Runtime, place: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each device, and one for stages that need none."""
    monkeypatch.setenv("TRANSFERLINE_PLACEMENT", place)
    assert open_runner(runtime)._max_workers == threads  # type: ignore[attr-defined]


def test_more_than_there_is_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPUS_PER_STAGE", "2")
    with pytest.raises(InputError, match="2 GPUs for one stage"):
        open_runner(AUTO)
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "0")
    with pytest.raises(InputError, match="this machine has no GPU"):
        open_runner(CUDA)


@pytest.mark.parametrize(
    ("gpu", "runtime", "place", "slots", "expected"),
    [
        (False, AUTO, "workers", "2", "build_checkpoint"),  # needs no device
        (True, CPU, "workers", "2", "build_checkpoint"),
        (True, AUTO, "workers", "2", "_on_a_worker"),
        (True, AUTO, "workers", "0", "_on_a_worker"),
        (True, AUTO, "local", "2", "build_on_a_slot"),
        (True, AUTO, "local", "0", "build_checkpoint"),
        (True, AUTO, "ray", "2", "build_checkpoint"),  # Ray's process has its device already
    ],
)
def test_where_a_step_is_built(
    gpu: bool, runtime: Runtime, place: str, slots: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_PLACEMENT", place)
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", slots)
    names = ("build_checkpoint", "_on_a_worker", "build_on_a_slot")
    used = {name: record(monkeypatch, placing, name, DONE) for name in names}
    assert build_step(request(gpu, runtime)) == DONE
    assert [name for name in names if used[name].calls] == [expected]


def test_a_killed_child_is_started_again_as_often_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    child = record(monkeypatch, placing, "_child", -signal.SIGKILL)
    monkeypatch.setattr(placing, "finished", lambda _: DONE if len(child.calls) == 3 else None)
    assert build_on_a_slot(request()) == DONE
    monkeypatch.setattr(placing, "finished", lambda _: None)
    monkeypatch.setenv("TRANSFERLINE_MOST_STARTS", "2")
    child.calls.clear()
    with pytest.raises(StageDied, match=r"died 2 times, the last time by SIGKILL \(out of memory, most likely\)"):
        build_on_a_slot(request())
    assert len(child.calls) == 2


@pytest.mark.parametrize(
    ("left", "error", "said"),
    [
        (["data", "wrong", "mend it"], InputError, "data: wrong. mend it"),
        ("ValueError: x", RuntimeError, ": ValueError: x"),
        (None, StageDied, "ended with exit code 1 and left no error message"),
    ],
)
def test_a_failed_child_is_not_started_again_and_its_error_is_raised(
    left: object, error: type[Exception], said: str, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = record(monkeypatch, placing, "_child", 1)
    monkeypatch.setattr(placing, "finished", lambda _: None)
    file = bare / "store" / ".requests" / f"{request().key}.error"
    file.parent.mkdir(parents=True)
    if left is not None:
        file.write_text(json.dumps(left))
    with pytest.raises(error) as caught:
        build_on_a_slot(request())
    assert said in str(caught.value)
    assert len(child.calls) == 1
    assert not file.exists()


def test_the_child_sees_its_own_devices_only(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "4+5")
    seen = bare / "seen"
    told = "os.environ['CUDA_VISIBLE_DEVICES'] + ' ' + os.environ['TRANSFERLINE_ROOT']"
    script = f"import os; open({str(seen)!r}, 'w').write({told})"
    real = placing.subprocess.Popen
    monkeypatch.setattr(placing.subprocess, "Popen", lambda command, **how: real([command[0], "-c", script], **how))
    monkeypatch.setattr(placing, "finished", lambda _: DONE if seen.exists() else None)
    assert build_on_a_slot(request()) == DONE
    assert seen.read_text() == f"4,5 {bare}"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
