"""Garbage collection: checkpoints that no registered model, run or recent key needs."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from transferline.core.array_store import wanted
from transferline.core.checkpoint import RECORD, read_lineage
from transferline.core.project import cache, store
from transferline.tasks.support.keys_in_use import LOCK, keys_in_use
from transferline.tasks.support.locks import FlockLockManager, held
from transferline.tasks.support.tracking import client


@dataclass(frozen=True)
class Unneeded:
    """A folder to delete: no registered model, unfinished run or recent checkpoint needs it. `size` is in bytes."""

    folder: Path
    size: int


def unneeded(days: float) -> list[Unneeded]:
    """Find checkpoints and cached outputs of frozen layers that are no longer needed.

    A checkpoint is needed if it is younger than `days`, if an unfinished run built it, if a living process uses it, or if it is an
    ancestor of a needed or registered one. Cached outputs are needed if they were read within `days`.
    """
    folders = [f for f in sorted(store().glob("*-*")) if f.is_dir()]
    parents = {f.name: (read_lineage(f) or {}).get("parents", []) for f in folders}
    needed = _needed_keys()
    with held(LOCK):
        needed |= keys_in_use()
    before = time.time() - days * 86400
    needed |= {f.name for f in folders if max(f.stat().st_mtime, _record_time(f)) > before}
    waiting = list(needed)
    while waiting:  # a needed checkpoint needs its parents
        for parent in parents.get(waiting.pop(), []):
            if parent not in needed:
                needed.add(parent)
                waiting.append(parent)
    for key, above in parents.items():  # keep predictions of needed models: the next comparison reuses them
        if key.startswith("predict-") and set(above) <= needed:
            needed.add(key)
    shelves = [f for f in sorted(cache().glob("*-*")) if wanted(f) <= before]
    return [Unneeded(f, _size(f)) for f in (*(f for f in folders if f.name not in needed), *shelves)]


def delete(one: Unneeded) -> bool:
    """Delete a checkpoint unless it is being built now, or a living run uses it. Returns whether it was deleted."""
    locks, key = FlockLockManager(), f"{one.folder.name}/{RECORD}"
    if not locks.acquire_lock(key, "gc", acquire_timeout=0):
        return False
    try:
        with held(LOCK):  # no run claims the key between the question and the deletion
            if one.folder.name in keys_in_use():
                return False
            # the record first: after a kill in between, the rest must not count as a complete checkpoint
            (one.folder / RECORD).unlink(missing_ok=True)
            shutil.rmtree(one.folder)
    finally:
        locks.release_lock(key, "gc")
    return True


def _needed_keys() -> set[str]:
    """Keys of registered versions and of stages of unfinished runs, with their parents."""
    keys = set()
    for model in client().search_registered_models(max_results=1000):
        for version in client().search_model_versions(f"name = '{model.name}'"):
            keys |= {version.tags.get("transferline.key", ""), *version.tags.get("transferline.parents", "").split()}
    experiments = [e.experiment_id for e in client().search_experiments(max_results=1000)]
    for run in client().search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000):
        keys |= {run.data.params.get("key", ""), *run.data.params.get("parents", "").split()}
    return keys - {""}


def _record_time(folder: Path) -> float:
    record = folder / RECORD
    return record.stat().st_mtime if record.exists() else 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
