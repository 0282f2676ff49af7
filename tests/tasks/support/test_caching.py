"""Caching: no stage is built twice, and an incomplete or altered checkpoint is never reused."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from prefect import Task, flow
from prefect.exceptions import TerminationSignal
from prefect.task_runners import ThreadPoolTaskRunner

from transferline.core.checkpoint import RECORD, digest_of, intact
from transferline.core.leaving import Leaving, is_leaving
from transferline.core.runtime import Runtime
from transferline.core.stage import Work
from transferline.methods.parameter import Probe
from transferline.recipes.chain import Step
from transferline.tasks.support import checkpoint_building
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.caching import Built, build_all, saved_on_leaving, stage_task
from transferline.tasks.support.checkpoint_building import build_checkpoint
from transferline.tasks.support.commit_marks import committed

pytestmark = pytest.mark.usefixtures("prefect_server")
COUNT: list[str] = []
RUNTIME = Runtime(device="cpu", precision="fp32").resolve()


class NoRun:
    """A stand-in for StageRun that records nothing."""

    run_id = "run"

    def __init__(self, *_: object) -> None: ...
    def __enter__(self) -> NoRun:
        return self

    def __exit__(self, *_: object) -> None: ...
    def report(self, *_: object) -> None: ...
    def finish(self, *_: object) -> None: ...


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path))
    monkeypatch.setattr(checkpoint_building, "StageRun", NoRun)
    COUNT.clear()
    return tmp_path


def make(work: Work) -> dict[str, float]:
    COUNT.append(work.name)
    time.sleep(0.3)
    (work.out / "weights.txt").write_text(f"made with seed {work.seed}")
    return {"score": 1.0}


def broken(work: Work) -> dict[str, float]:
    (work.out / "weights.txt").write_text("half")
    raise RuntimeError("out of memory")


build = stage_task("build", "a stage that works", lambda request: build_checkpoint(request, make))
fail = stage_task("fail", "a stage that does not", lambda request: build_checkpoint(request, broken))


def request(seed: int = 0) -> Request:
    return Request(Step("tune", Probe(), (), (), seed, "challenger"), {}, RUNTIME)


def call(stage: Task, wanted: Request) -> Built:
    with ThreadPoolTaskRunner(max_workers=1) as runner:
        return build_all([(stage, wanted)], runner)[wanted.key]


@flow
def once(seed: int = 0, stage=build) -> bool:
    return call(stage, request(seed)).reused


def test_the_second_run_reuses_and_another_seed_does_not(store: Path) -> None:
    assert [once(), once(), once(seed=1), once()] == [False, True, False, True]
    assert len(COUNT) == 2
    assert (store / request().key / RECORD).exists()


def test_a_record_that_names_a_class_by_its_former_module_is_read(store: Path) -> None:
    once()
    record = store / request().key / RECORD
    kept = json.loads(record.read_text())
    kept["result"] = json.dumps({"__class__": "transfer.checkpoint.Checkpoint", "data": json.loads(kept["result"])})
    record.write_text(json.dumps(kept))
    assert once()
    assert len(COUNT) == 1


def test_a_deleted_checkpoint_is_rebuilt_to_the_same_digest(store: Path) -> None:
    import shutil

    once()
    digest = digest_of(store / request().key)
    shutil.rmtree(store / request().key)
    assert not once()
    assert digest_of(store / request().key) == digest


def test_a_checkpoint_whose_files_were_changed_is_rebuilt_never_trusted(store: Path) -> None:
    once()
    (store / request().key / "weights.txt").write_text("tampered")
    assert not once()
    assert "seed 0" in (store / request().key / "weights.txt").read_text()


def test_a_torn_record_is_no_record(store: Path) -> None:
    once()
    record = store / request().key / RECORD
    record.write_text(record.read_text()[:50])
    assert not committed(request().key)
    once()
    assert committed(request().key)


def test_a_whole_folder_that_lost_its_record_is_adopted(store: Path) -> None:
    """The run was killed after the rename of the folder and before the record."""
    once()
    (store / request().key / RECORD).unlink()
    once()
    assert len(COUNT) == 1
    assert committed(request().key)


def test_a_failed_stage_leaves_nothing_that_could_be_taken_for_done(store: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        once(stage=fail)
    assert not (store / request().key).exists()
    assert not once()
    assert intact(store / request().key)


def test_two_simultaneous_requests_build_once() -> None:
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(once(seed=7))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(COUNT) == 1
    assert sorted(results) == [False, True, True]


class Stage:
    """A running stage that ends when the process leaves."""

    def __init__(self, leaves: bool) -> None:
        self.leaves, self.waited = leaves, list[bool]()

    def wait(self, timeout: float | None = None) -> None:
        assert timeout is not None
        self.waited.append(is_leaving())
        if self.leaves:
            raise Leaving("saved")


@pytest.mark.parametrize("told", [KeyboardInterrupt(), TerminationSignal(15)])
def test_stages_save_when_the_run_is_told_to_end(told: BaseException) -> None:
    stages = [Stage(True), Stage(False), Stage(True)]
    with pytest.raises(type(told)), saved_on_leaving(lambda: stages):
        raise told
    assert [stage.waited for stage in stages] == [[True]] * 3
    assert not is_leaving()


def test_an_error_waits_for_no_stage() -> None:
    stage = Stage(False)
    with pytest.raises(ValueError, match="x"), saved_on_leaving(lambda: [stage]):
        raise ValueError("x")
    assert not stage.waited
