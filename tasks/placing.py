"""Placement of stages: this process, a child process with its own GPU, a GPU worker, or a Ray cluster.

TRANSFERLINE_PLACEMENT selects it and changes no key. At most one GPU stage runs on a device at a time. CPU stages do not
wait for a device.

local     GPU stages run in child processes, each with a GPU slot of this machine. Without GPUs all run in this process.
workers   GPU stages are flow runs of the deployment `stage/gpu`, executed by a worker on a GPU machine.
ray       Every stage is a Ray task. TRANSFERLINE_RAY_ADDRESS names the cluster, otherwise one is started here.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from transferline.core.checkpoint import Checkpoint
from transferline.core.errors import InputError
from transferline.core.leaving import GRACE, LEFT, Leaving, is_leaving
from transferline.core.project import root, shared_uri, store
from transferline.core.runtime import Runtime
from transferline.core.settings import Placement, inherited, settings
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.checkpoint_building import build_checkpoint, finished
from transferline.tasks.support.gpu_slots import Slot, devices, slot
from transferline.tasks.support.progress import log, notice
from transferline.tasks.support.scope import scoped

GPU_STAGE, GPU_DEPLOYMENT = "stage", "gpu"  # flow and deployment, as in prefect.yaml
# Stages submitted to workers at once. Each costs one waiting thread here; the work pool's limit decides how many compute.
IN_FLIGHT = 64


class StageDied(RuntimeError):
    """The process of a stage died at every start. The message names the cause."""


def placement() -> Placement:
    """TRANSFERLINE_PLACEMENT, checked."""
    return settings().placement


def most_starts() -> int:
    """How often one stage or run is started before it is given up: TRANSFERLINE_MOST_STARTS, 3 by default."""
    return settings().most_starts


def gpus_per_stage() -> float:
    """Devices that one GPU stage asks Ray for: TRANSFERLINE_GPUS_PER_STAGE, 1 by default; shares of one are allowed."""
    return settings().gpus_per_stage


def open_runner(runtime: Runtime) -> TaskRunner[Any]:
    """The Prefect task runner for the stages of a run, as a context manager.

    Raises InputError where the requested devices do not exist.
    """
    place = placement()
    if place == "ray":
        from transferline.tasks.support.ray_cluster import open_ray

        return open_ray(gpus_per_stage() if runtime.device != "cpu" else 0, runtime.device == "cuda")
    if place == "workers":
        return ThreadPoolTaskRunner(max_workers=IN_FLIGHT)
    slots = _slots(runtime)
    if runtime.device == "cuda" and not slots:
        raise InputError("device 'cuda'", "this machine has no GPU", "Choose cpu or auto, or run on a GPU worker")
    if gpus_per_stage() > 1:
        mend = "Locally a stage uses one device; set TRANSFERLINE_GPUS_PER_STAGE to 1 or less"
        raise InputError("TRANSFERLINE_GPUS_PER_STAGE", f"{gpus_per_stage():g} GPUs for one stage", mend)
    # one thread more than slots, so that CPU stages run while all devices are busy
    return ThreadPoolTaskRunner(max_workers=len(slots) + 1)


def build_step(request: Request) -> Checkpoint:
    """Build a request at its placement. Every stage's Prefect task calls this function."""
    if not request.step.stage.gpu or request.runtime.device == "cpu":
        return build_checkpoint(request)
    place = placement()
    if place == "workers":
        return _on_a_worker(request)
    if place == "local" and _slots(request.runtime):
        return build_on_a_slot(request)
    return build_checkpoint(request)


def build_on_a_slot(request: Request) -> Checkpoint:
    """Build in a child process that sees only the devices of one GPU slot.

    A child that was killed by a signal is started again, up to `most_starts()` times. Raises StageDied after that.
    """
    with slot() as taken:
        log(f"{request.title} on device {taken.device}")
        for attempt in range(1, most_starts() + 1):
            code = _child(request, taken)
            found = finished(request)
            if found is not None:
                return found
            if code == LEFT:
                raise Leaving(f"{request.title} has saved its state")
            # only a signal is worth another start: an error of the stage itself would come back at every one
            if code >= 0:
                raise _child_error(request, code)
            cause = _cause(code)
            notice("died", "yellow", f"{request.title}: {cause}; start {attempt} of {most_starts()}")
            log(f"{request.title}: its process was killed by {cause}")
    raise StageDied(f"{request.title}: its process died {most_starts()} times, the last time by {cause}")


def _slots(runtime: Runtime) -> list[str]:
    return [] if runtime.device == "cpu" else devices()


def _child(request: Request, taken: Slot) -> int:
    """Run the child process to its end. Returns the exit code, negative where a signal ended it."""
    folder = store() / ".requests"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{request.key}.json"
    file.write_text(json.dumps(request.to_json()), encoding="utf-8")
    file.with_suffix(".error").unlink(missing_ok=True)
    environment = inherited(cuda_visible_devices=taken.visible, root=root())
    command = [sys.executable, "-P", "-m", "transferline.tasks.support.child", str(file)]
    # the child inherits the open lock: if this process is killed first, the device stays taken until the child has ended
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=(taken.descriptor,)) as child:
        try:
            code = _waited(child)
        except BaseException:  # told to end while it waits: the child saves its state
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
            raise
    file.unlink(missing_ok=True)
    return code


def _waited(child: subprocess.Popen[bytes]) -> int:
    """The exit code of a child. A run that is told to end tells its child, which then saves its state."""
    told = False
    while True:
        try:
            return child.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            if is_leaving() and not told:
                child.terminate()
                told = True


def _child_error(request: Request, code: int) -> Exception:
    """The exception that a failed child wrote beside its request."""
    file = store() / ".requests" / f"{request.key}.error"
    if not file.exists():
        return StageDied(f"{request.title}: its process ended with exit code {code} and left no error message")
    error = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return InputError(*error) if isinstance(error, list) else RuntimeError(f"{request.title}: {error}")


def _cause(code: int) -> str:
    name = signal.Signals(-code).name
    # the kernel's out-of-memory killer sends SIGKILL and leaves no other trace in the process
    return f"{name} (out of memory, most likely)" if name == "SIGKILL" else name


def _on_a_worker(request: Request) -> Checkpoint:
    """Build as a flow run of the GPU deployment, and wait for its end."""
    from transferline.tasks.support.shared_store import fetch, offer_input
    from transferline.tasks.support.worker_runs import run_on_worker

    # the worker may be on another machine, which has the shared store but not this project's data
    for role, md5 in request.step.data:
        offer_input(request.data[role], md5)
    for _ in range(most_starts()):
        state = run_on_worker(f"{GPU_STAGE}/{scoped(GPU_DEPLOYMENT)}", {"request": request.to_json()}, request.title)
        if shared_uri() is not None and not (store() / request.key).exists():
            fetch(request.key)
        # look for the checkpoint before the state: the worker may have died after it had finished the stage
        found = finished(request)
        if found is not None:
            return found
        if not state.is_crashed():
            raise RuntimeError(f"{request.title}: {state.name} on its worker: {state.message}")
    raise StageDied(f"{request.title}: died {most_starts()} times on its worker: {state.message}")
