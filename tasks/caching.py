"""Caching on Prefect's own result records.

The cache key of a stage is `<key>/record.json` and the result storage is the checkpoint store, so Prefect writes its record
*into* the checkpoint's folder, and writes it last: it is the commit mark. Delete the folder and the stage is built
again. Before Prefect looks, the folder is checked against its digest; one that does not match loses its record.

Two runs that want one key: the first holds the key's lock and builds, the other waits and finds the record.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Task, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.transactions import IsolationLevel

from tasks.locking import FlockLockManager
from tasks.progress import ProgressArtifact, show_progress
from tasks.project import root, store
from tasks.tracking import StageRun
from transfer.chain import Step
from transfer.checkpoint import RECORD, Checkpoint, intact, publish, read_lineage
from transfer.evaluation.seen import write_seen
from transfer.runtime import Runtime
from transfer.stage import Progress, Work


@dataclass(frozen=True)
class Request:
    """One step to be built: the step, where its data lies, and under which transfer run."""

    step: Step
    data: Mapping[str, Path]
    runtime: Runtime
    run_id: str = ""
    experiment: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.step.key

    @property
    def title(self) -> str:
        return self.step.title


@dataclass(frozen=True)
class Built:
    """A checkpoint, whether it was there already, and Prefect's state of the task that says so."""

    checkpoint: Checkpoint
    reused: bool
    state: Any = None


def stage_task(name: str, about: str, build: Callable[[Request], Checkpoint] | None = None) -> Task:
    """A Prefect task that builds a request's step, cached under the step's key."""
    policy = CacheKeyFnPolicy(cache_key_fn=_record_of).configure(
        lock_manager=FlockLockManager(), isolation_level=IsolationLevel.SERIALIZABLE
    )
    return task(
        name=name,
        description=about,
        task_run_name="{request.title}",
        cache_policy=policy,
        persist_result=True,
        result_serializer="json",
    )(build or build_step)


def call(stage: Task, request: Request, after: Sequence[Built] = ()) -> Built:
    """Run a stage task, or take what is there; `after` are its parents. Says which on the terminal."""
    store().mkdir(parents=True, exist_ok=True)
    state: Any = stage.with_options(result_storage=store())(
        request, return_state=True, wait_for=[parent.state for parent in after]
    )
    checkpoint = state.result()  # raises what the stage raised
    if not _readable(store() / request.key / RECORD):
        raise OSError(f"{request.title}: its record could not be written to {store()}; is the disk full?")
    reused = state.name == "Cached"
    show_progress(request.title, "reused" if reused else "built", request.key, checkpoint.summary)
    return Built(checkpoint, reused, state)


def committed(key: str) -> bool:
    """Whether a checkpoint is there, whole, with its record."""
    folder = store() / key
    return _readable(folder / RECORD) and intact(folder)


def build_step(request: Request) -> Checkpoint:
    """Build a request's step as its stage says."""
    return build_checkpoint(request, request.step.stage.build)


def build_checkpoint(request: Request, make: Callable[[Work], dict[str, float]]) -> Checkpoint:
    """Run `make` in a scratch folder and publish what it wrote under the request's key.

    A whole folder without a record (its run was killed between the two) is adopted, not built again.
    """
    folder = store() / request.key
    out, state = store() / ".making" / request.key, store() / ".state" / request.key
    shutil.rmtree(out, ignore_errors=True)
    lineage = read_lineage(folder)
    if lineage is not None and intact(folder):
        shutil.rmtree(state, ignore_errors=True)
        return Checkpoint(key=request.key, digest=lineage["digest"], summary=lineage["summary"], run_id=lineage["run"])
    out.mkdir(parents=True)
    state.mkdir(parents=True, exist_ok=True)
    parents = [store() / key for key in request.step.parents]
    with StageRun(request.run_id, request.experiment, request.title, _parameters(request), request.data) as run:
        bar = ProgressArtifact(request.title) if request.step.stage.long else None

        def report(progress: Progress) -> None:
            run.report(progress)
            show_progress(progress)
            if bar is not None:
                bar.show(progress)

        work = Work(
            data=request.data,
            seed=request.step.seed or 0,
            out=out,
            state=state,
            runtime=request.runtime,
            report=report,
            parent=parents[0] if parents else None,
            name=request.title,
        )
        summary = make(work)
        if request.step.kind in ("adapt", "tune", "control"):
            write_seen(out, request.data, parents)
        lineage = {
            **request.step.identity,
            "key": request.key,
            "title": request.title,
            "summary": summary,
            "run": run.run_id,
            "runtime": request.runtime.describe(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **request.tags,
        }
        digest = publish(out, folder, lineage)
        run.finish(summary, {"transferline.key": request.key, "transferline.digest": digest})
    shutil.rmtree(state, ignore_errors=True)
    return Checkpoint(key=request.key, digest=digest, summary=summary, run_id=run.run_id)


def _record_of(_: object, parameters: dict[str, Any]) -> str:
    """The cache key of a request; takes away the record of a checkpoint whose files are not what was committed."""
    key = parameters["request"].key
    folder = store() / key
    record = folder / RECORD
    if record.exists() and not intact(folder):
        record.unlink()
    return f"{key}/{RECORD}"


def _readable(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    return True


def _parameters(request: Request) -> dict[str, str]:
    stage = request.step.stage.model_dump(mode="json")
    flat = {f"stage.{name}": str(value) for name, value in stage.items()}
    data = {f"data.{role}": md5 for role, md5 in request.step.data}
    machine = {f"runtime.{name}": value for name, value in request.runtime.describe().items()}
    where = {"key": request.key, "parents": " ".join(request.step.parents), "seed": str(request.step.seed)}
    return {**where, **flat, **data, **machine, "project": root().name}
