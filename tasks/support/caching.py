"""Cache stages with Prefect's result records.

The cache key of a stage is `<key>/record.json` and the result storage is the checkpoint store. Prefect therefore writes its
record *into* the checkpoint's folder, and writes it last: the record is the commit mark. If the folder is deleted, the stage
is built again. Before each lookup the folder is checked against its digest. On a mismatch the record is deleted.

If two runs need the same key, the first holds the key's lock and builds. The other waits and then finds the record.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect import Task, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.task_runners import TaskRunner
from prefect.transactions import IsolationLevel

from transferline.core.checkpoint import RECORD, Checkpoint, intact
from transferline.core.leaving import GRACE, Leaving, leave, stay
from transferline.core.project import shared_uri, store
from transferline.tasks.placing import build_step, gpus_per_stage, most_starts, placement
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.commit_marks import readable
from transferline.tasks.support.keys_in_use import claim
from transferline.tasks.support.locks import FlockLockManager
from transferline.tasks.support.progress import notice, show_progress
from transferline.tasks.support.shared_store import fetch, offer


@dataclass(frozen=True)
class Built:
    """A checkpoint, whether it was reused, and the final state of its Prefect task."""

    checkpoint: Checkpoint
    reused: bool
    state: Any = None


def stage_task(name: str, about: str, build: Callable[[Request], Checkpoint] = build_step) -> Task:
    """A Prefect task that builds a request's step, cached under the step's key.

    It returns the checkpoint as plain values: a record then names no class, and is still read when a class moves.
    """

    def run(request: Request) -> dict[str, Any]:
        return build(request).model_dump(mode="json")

    # SERIALIZABLE makes Prefect hold the key's lock from the lookup to the record, so that no key is built twice
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
    )(run)


def build_all(
    wanted: Sequence[tuple[Task, Request]], runner: TaskRunner[Any], built: Mapping[str, Built] | None = None
) -> dict[str, Built]:
    """Build requests in parallel, parents first, and reuse existing checkpoints. Returns key -> result.

    A step is submitted only when its parents are done, so that no waiting step holds a device. After a failure no new step
    is submitted. Steps that run are finished and kept, then the first error is raised.
    """
    store().mkdir(parents=True, exist_ok=True)
    claim({key for _, request in wanted for key in (request.key, *request.step.parents)} | set(built or {}))
    done = dict(built or {})
    waiting = {request.key: (stage, request) for stage, request in wanted if request.key not in done}
    running: dict[str, Any] = {}
    finished: queue.Queue[str] = queue.Queue()
    failed: BaseException | None = None
    with saved_on_leaving(lambda: [future for _, future in running.values()]):
        while running or (waiting and failed is None):
            ready = [key for key, (_, request) in waiting.items() if all(p in done for p in request.step.parents)]
            for key in ready if failed is None else []:
                stage, request = waiting.pop(key)
                running[key] = (request, _submit(runner, stage, request, [done[p] for p in request.step.parents]))
                running[key][1].add_done_callback(lambda _, key=key: finished.put(key))
            key = finished.get()
            request, future = running.pop(key)
            try:
                done[key] = _collect(request, future)
            except Exception as error:  # noqa: BLE001 - raised below, once the other running steps are finished
                failed = failed or error
    if failed is not None:
        raise failed
    return done


@contextlib.contextmanager
def saved_on_leaving(futures: Callable[[], Sequence[Any]]) -> Iterator[None]:
    """Let running stages save their state, for at most GRACE seconds, when SIGTERM or Ctrl-C ends the block."""
    try:
        yield
    except (Exception, GeneratorExit):
        raise
    except BaseException:
        notice("leaving", "yellow", "running stages save their state")
        leave()
        deadline = time.monotonic() + GRACE
        try:
            for future in futures():
                with contextlib.suppress(Leaving):
                    future.wait(timeout=max(0.0, deadline - time.monotonic()))
        finally:
            stay()
        raise


def _submit(runner: TaskRunner[Any], stage: Task, request: Request, parents: Sequence[Built]) -> Any:
    task_ = stage.with_options(result_storage=store())
    after = [
        parent.state for parent in parents if parent.state is not None
    ]  # they are done: this draws the graph's edges
    with contextlib.ExitStack() as options:
        if placement() == "ray":
            from transferline.tasks.support.ray_cluster import remote

            gpu = request.step.stage.gpu and request.runtime.device != "cpu"
            options.enter_context(remote(gpu, gpus_per_stage(), most_starts()))
        return runner.submit(task_, {"request": request}, wait_for=after)


def _collect(request: Request, future: Any) -> Built:
    """Wait for a submitted step and print its outcome. Raises the stage's error, or OSError if the record is missing."""
    future.wait()
    state = future.state
    checkpoint = _checkpoint_of(state.result())
    if shared_uri() is not None and not (store() / request.key / RECORD).exists():
        fetch(request.key)
    if not readable(store() / request.key / RECORD):
        raise OSError(f"{request.title}: its record could not be written to {store()}; is the disk full?")
    reused = state.name == "Cached"  # Prefect's name for a state that was read from a record
    offer(request.key)
    show_progress(request.title, "reused" if reused else "built", request.key, checkpoint.summary)
    return Built(checkpoint, reused, state)


def _checkpoint_of(recorded: Any) -> Checkpoint:
    """The checkpoint of a record. Older records name the class under which they were written beside its values."""
    return Checkpoint.model_validate(recorded["data"] if "__class__" in recorded else recorded)


def _record_of(_: object, parameters: dict[str, Any]) -> str:
    """The cache key of a request. Deletes the record of a checkpoint if it is not inert, or the files do not match their digest."""
    key = parameters["request"].key
    folder = store() / key
    record = folder / RECORD
    if not record.exists():
        fetch(key)
    if record.exists() and not (readable(record) and intact(folder)):
        record.unlink()
    return f"{key}/{RECORD}"
