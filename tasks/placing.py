"""Where a stage is computed: in this process, in a child with a GPU of its own, on a GPU worker, or on a Ray cluster.

TRANSFERLINE_PLACEMENT says which; it changes no key. In all of them at most as many GPU stages compute at once as there
are devices, and what needs none does not wait for one.

local     GPU stages in child processes, each behind a slot of this machine; without GPUs everything in this process
workers   GPU stages as flow runs of the deployment `stage/gpu`, which a worker on a GPU machine takes up
ray       every stage as a Ray task; TRANSFERLINE_RAY_ADDRESS names the cluster, else one is started here
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from transferline.core.checkpoint import Checkpoint
from transferline.core.errors import InputError
from transferline.core.project import root, shared_uri, store
from transferline.core.runtime import Runtime
from transferline.core.settings import Placement, inherited, settings
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.checkpoint_building import build_checkpoint, finished
from transferline.tasks.support.gpu_slots import Slot, devices, slot
from transferline.tasks.support.progress import console, log

GPU_DEPLOYMENT = "stage/gpu"
IN_FLIGHT = 64  # stages handed to workers at once; how many compute is for their pool to say


class StageDied(RuntimeError):
    """A stage whose process died again and again: told with what killed it."""


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
    """The Prefect task runner for the stages of a run, to be entered. Raises InputError where more is asked than exists."""
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
        mend = "A stage computes on one device; set TRANSFERLINE_GPUS_PER_STAGE to 1 or less"
        raise InputError("TRANSFERLINE_GPUS_PER_STAGE", f"{gpus_per_stage():g} GPUs for one stage", mend)
    # one thread beside the slots: what needs no device goes on while all of them are busy
    return ThreadPoolTaskRunner(max_workers=len(slots) + 1)


def build_step(request: Request) -> Checkpoint:
    """Build a request where it belongs. This is what every stage's Prefect task does."""
    if not request.step.stage.gpu or request.runtime.device == "cpu":
        return build_checkpoint(request)
    place = placement()
    if place == "workers":
        return _on_a_worker(request)
    if place == "local" and _slots(request.runtime):
        return build_on_a_slot(request)
    return build_checkpoint(request)


def build_on_a_slot(request: Request) -> Checkpoint:
    """Build in a child process that sees the devices of one slot of this machine and no other."""
    with slot() as taken:
        log(f"{request.title} on device {taken.device}")
        for attempt in range(1, most_starts() + 1):
            code = _child(request, taken)
            found = finished(request)
            if found is not None:
                return found
            if code >= 0:
                raise _told(request, code)
            cause = _cause(code)
            console.print(f"  [yellow]died   [/] {request.title}: {cause}; start {attempt} of {most_starts()}")
            log(f"{request.title}: its process was killed by {cause}")
    raise StageDied(f"{request.title}: its process died {most_starts()} times, the last time by {cause}")


def _slots(runtime: Runtime) -> list[str]:
    return [] if runtime.device == "cpu" else devices()


def _child(request: Request, taken: Slot) -> int:
    """Run the child process to its end; its exit code, negative where a signal ended it."""
    folder = store() / ".requests"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{request.key}.json"
    file.write_text(json.dumps(request.to_json()), encoding="utf-8")
    file.with_suffix(".error").unlink(missing_ok=True)
    environment = inherited(cuda_visible_devices=taken.visible, root=root())
    command = [sys.executable, "-P", "-m", "transferline.tasks.support.child", str(file)]
    # the child keeps the slot's lock open too: the device is free when both are gone
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=(taken.descriptor,)) as child:
        code = child.wait()
    file.unlink(missing_ok=True)
    return code


def _told(request: Request, code: int) -> Exception:
    """The error that a child left."""
    file = store() / ".requests" / f"{request.key}.error"
    if not file.exists():
        return StageDied(f"{request.title}: its process ended with exit code {code} and said nothing")
    said = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return InputError(*said) if isinstance(said, list) else RuntimeError(f"{request.title}: {said}")


def _cause(code: int) -> str:
    name = signal.Signals(-code).name
    return f"{name} (out of memory, most likely)" if name == "SIGKILL" else name


def _on_a_worker(request: Request) -> Checkpoint:
    """Build as a flow run of the GPU deployment, and wait for it."""
    from prefect.deployments import run_deployment

    from transferline.tasks.support.shared_store import fetch, offer_input

    for role, md5 in request.step.data:
        offer_input(request.data[role], md5)
    for _ in range(most_starts()):
        run: Any = run_deployment(
            GPU_DEPLOYMENT, parameters={"request": request.to_json()}, flow_run_name=request.title, poll_interval=1
        )
        state = run.state
        if shared_uri() is not None and not (store() / request.key).exists():
            fetch(request.key)
        found = finished(request)
        if found is not None:
            return found
        if not state.is_crashed():
            raise RuntimeError(f"{request.title}: {state.name} on its worker: {state.message}")
    raise StageDied(f"{request.title}: died {most_starts()} times on its worker: {state.message}")
