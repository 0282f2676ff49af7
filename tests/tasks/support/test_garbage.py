"""Which checkpoints are deleted, and which stay."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from transferline.core.array_store import INDEX
from transferline.core.checkpoint import RECORD
from transferline.tasks.support.garbage import delete, unneeded
from transferline.tasks.support.locks import FlockLockManager
from transferline.tasks.support.tracking import client


def checkpoint(store: Path, key: str, *parents: str, days: float = 100) -> None:
    folder = store / key
    folder.mkdir(parents=True)
    (folder / "lineage.json").write_text(json.dumps({"parents": parents}))
    (folder / RECORD).write_text("{}")
    then = time.time() - days * 86400
    for path in (folder / RECORD, folder):
        os.utime(path, (then, then))


def test_only_checkpoints_that_are_not_needed_are_deleted(registry: Path) -> None:
    checkpoint(registry, "base-0")
    checkpoint(registry, "adapt-1", "base-0")
    checkpoint(registry, "tune-1", "adapt-1")  # registered
    checkpoint(registry, "predict-1", "tune-1")  # what its next comparison needs
    checkpoint(registry, "base-9")
    checkpoint(registry, "tune-9", "base-9")
    checkpoint(registry, "predict-9", "tune-9")
    checkpoint(registry, "adapt-8", days=100)
    checkpoint(registry, "tune-8", "adapt-8", days=1)  # young, and so its parent stays
    for name, days in (("prefix-1", 100), ("prefix-2", 1)):
        index = registry / ".cache" / name / INDEX
        index.parent.mkdir(parents=True)
        index.write_text("{}")
        os.utime(index, (time.time() - days * 86400,) * 2)
    names = {one.folder.name for one in unneeded(30)}
    assert names == {"base-9", "tune-9", "predict-9", "prefix-1"}
    assert (registry / "tune-9").exists()  # looking deletes nothing
    for one in unneeded(30):
        assert delete(one)
    assert unneeded(30) == []
    assert not (registry / "tune-9").exists()
    assert (registry / "tune-1" / RECORD).exists()


def test_stages_of_a_run_under_way_stay(registry: Path) -> None:
    checkpoint(registry, "base-7")
    checkpoint(registry, "adapt-7", "base-7")
    experiment = client().create_experiment("film")
    run = client().create_run(experiment)
    client().log_param(run.info.run_id, "key", "tune-7")
    client().log_param(run.info.run_id, "parents", "adapt-7")
    assert unneeded(30) == []
    client().set_terminated(run.info.run_id)
    assert {one.folder.name for one in unneeded(30)} == {"base-7", "adapt-7"}


def test_a_checkpoint_under_construction_is_not_deleted(registry: Path) -> None:
    checkpoint(registry, "base-9")
    (one,) = unneeded(30)
    assert one.size == sum(path.stat().st_size for path in (registry / "base-9").iterdir())
    locks, key = FlockLockManager(), f"base-9/{RECORD}"
    assert locks.acquire_lock(key, "a builder")
    assert not delete(one)
    assert (registry / "base-9" / RECORD).exists()
    locks.release_lock(key, "a builder")
    assert delete(one)
