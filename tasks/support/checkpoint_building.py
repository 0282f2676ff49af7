"""Build one checkpoint in this process. The code is the same in a flow run, a child process, a worker and a Ray node."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from transferline.core.checkpoint import Checkpoint, intact, publish, read_lineage
from transferline.core.cost import metered
from transferline.core.leaving import Leaving, is_leaving
from transferline.core.project import cache, root, store
from transferline.core.stage import Progress, Work
from transferline.data.fingerprints import write_seen
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.leases import bucket, exclusive
from transferline.tasks.support.process_group import crew
from transferline.tasks.support.progress import ProgressArtifact, show_progress
from transferline.tasks.support.shared_store import fetch, fetch_input, fetch_state, forget_state, offer_state
from transferline.tasks.support.tracking import StageRun

# torch's global random generators belong to the process: two stages in threads of one process would change each other's
# random numbers, and results would not be reproducible
_ONE_AT_A_TIME = threading.Lock()


def build_checkpoint(request: Request, make: Callable[[Work], dict[str, float]] | None = None) -> Checkpoint:
    """Build a request's step into a scratch folder and publish it under the request's key.

    A complete folder without a record (the run was killed between the two) is reused. `make` replaces the stage's own
    `build`. Raises OSError if the disk is full. Finished checkpoints and saved states are kept.
    """
    with _ONE_AT_A_TIME, exclusive(bucket(request.key)):
        if is_leaving():
            raise Leaving(f"{request.title} is not begun: the run is told to end")
        found = finished(request)
        return found if found is not None else _build(request, make or request.step.stage.build)


def finished(request: Request) -> Checkpoint | None:
    """The complete checkpoint of a request in the store, with or without a record, or None if there is none."""
    folder = store() / request.key
    lineage = read_lineage(folder)
    if lineage is None or not intact(folder):
        return None
    shutil.rmtree(store() / ".state" / request.key, ignore_errors=True)
    return Checkpoint(key=request.key, digest=lineage["digest"], summary=lineage["summary"], run_id=lineage["run"])


def _build(request: Request, make: Callable[[Work], dict[str, float]]) -> Checkpoint:
    folder = store() / request.key
    out, state = store() / ".making" / request.key, store() / ".state" / request.key
    shutil.rmtree(out, ignore_errors=True)  # of a killed attempt; its saved state stays, and training resumes from it
    out.mkdir(parents=True)
    state.mkdir(parents=True, exist_ok=True)
    fetch_state(request.key, state)
    here = {role: fetch_input(request.data[role], md5) for role, md5 in request.step.data}
    request = replace(request, data={**request.data, **here})
    for parent in request.step.parents:
        if not (store() / parent).exists():
            fetch(parent)
    runtime = request.runtime.resolve()
    runtime.apply()
    machine = runtime.describe()
    parents = [store() / key for key in request.step.parents]
    with StageRun(
        request.run_id, request.experiment, request.title, _parameters(request, machine), request.data
    ) as run:
        bar = ProgressArtifact(request.title) if request.step.stage.long else None

        def report(progress: Progress) -> None:
            run.report(progress)
            show_progress(progress)
            offer_state(request.key, state)
            if bar is not None:
                bar.show(progress)

        work = Work(
            data=request.data,
            seed=request.step.seed or 0,
            out=out,
            state=state,
            runtime=runtime,
            report=report,
            parent=parents[0] if parents else None,
            name=request.title,
            parents=tuple(parents),
            cache=cache(),
        )
        # predictions are timed for the report's latency, which counting FLOPs would slow down
        counting = request.step.kind != "predict"
        with crew(request, runtime), metered(runtime.device, counting) as meter:
            summary = make(work)
        cost = meter.cost()
        # fingerprints of all training texts: a later verdict checks that no model has seen the test rows
        if request.step.kind in ("select", "adapt", "tune", "control"):
            write_seen(out, request.data, parents)
        lineage = {
            **request.step.identity,
            "key": request.key,
            "title": request.title,
            "summary": summary,
            "cost": cost,
            "run": run.run_id,
            "runtime": machine,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **request.tags,
        }
        digest = publish(out, folder, lineage)  # one rename: the key has either the complete checkpoint or none
        spent = {name: cost[name] for name in ("tokens", "flops", "seconds", "peak_bytes")}
        run.finish(summary, spent, {"transferline.key": request.key, "transferline.digest": digest})
    # saved states are needed until the checkpoint is published
    shutil.rmtree(state, ignore_errors=True)
    forget_state(request.key)
    return Checkpoint(key=request.key, digest=digest, summary=summary, run_id=run.run_id)


def _parameters(request: Request, machine: dict[str, str]) -> dict[str, str]:
    stage = request.step.stage.model_dump(mode="json")
    flat = {f"stage.{name}": str(value) for name, value in stage.items()}
    data = {f"data.{role}": md5 for role, md5 in request.step.data}
    described = {f"runtime.{name}": value for name, value in machine.items()}
    where = {"key": request.key, "parents": " ".join(request.step.parents), "seed": str(request.step.seed)}
    return {**where, **flat, **data, **described, "project": root().name}
