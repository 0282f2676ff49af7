"""Data-parallel training of one model: python -m transferline.tasks.support.process_group REQUEST.json RANK

This process has rank 0: it reports, saves and publishes. The other ranks are started here. Each rank computes its share of
every batch (training/gradients.py). Their standard inputs are pipes from rank 0, so they end when it dies, even by SIGKILL.
If another rank dies, the exchange of gradients fails, the stage fails, and the next start resumes from the saved state. The
number of processes belongs to the runtime and changes no key.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from transferline.core.environment import variables
from transferline.core.errors import InputError
from transferline.core.project import cache, root, store
from transferline.core.runtime import Runtime
from transferline.core.settings import inherited
from transferline.core.stage import Progress, Work
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.orphans import end_with_the_run

PATIENCE = 60.0  # seconds that the crew has to end once the work is done


@contextlib.contextmanager
def crew(request: Request, runtime: Runtime) -> Iterator[None]:
    """Run ranks 1, 2, ... of a training stage during the block, or none if the runtime has one process.

    Raises InputError if fewer GPUs are visible than processes, and RuntimeError if another rank dies.
    """
    if runtime.processes == 1 or not request.step.stage.long:
        yield
        return
    import torch

    if runtime.device != "cpu" and torch.cuda.device_count() < runtime.processes:
        what = f"{runtime.processes} processes on {torch.cuda.device_count()} visible GPUs"
        mend = "Give each stage enough devices (TRANSFERLINE_GPU_SLOTS=0+1,2+3 gives two), or use fewer processes"
        raise InputError("TRANSFERLINE_PROCESSES", what, mend)
    file = store() / ".requests" / f"{request.key}.crew.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(request.to_json()), encoding="utf-8")
    shared = {"WORLD_SIZE": str(runtime.processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    shared["LOCAL_WORLD_SIZE"] = shared["WORLD_SIZE"]
    others = [_start(file, rank, shared, runtime) for rank in range(1, runtime.processes)]
    threads = torch.get_num_threads()
    torch.set_num_threads(_threads(runtime))
    try:
        with variables({**shared, "RANK": "0", "LOCAL_RANK": "0"}):
            yield
    except RuntimeError as error:
        ended = {rank: code for rank, other in enumerate(others, start=1) if (code := _code(other)) not in (None, 0)}
        if not ended:
            raise
        what = ", ".join(f"process {rank} ended with exit code {code}" for rank, code in ended.items())
        raise RuntimeError(f"{request.title}: {what}; the next start resumes from the saved state") from error
    finally:
        torch.set_num_threads(threads)
        _end_group(others)
        file.unlink(missing_ok=True)


def _start(file: Path, rank: int, shared: dict[str, str], runtime: Runtime) -> subprocess.Popen[bytes]:
    mine = {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": str(_threads(runtime))}
    command = [sys.executable, "-P", "-m", "transferline.tasks.support.process_group", str(file), str(rank)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env={**inherited(root=root()), **shared, **mine})


def _threads(runtime: Runtime) -> int:
    """Threads per process, so that all processes together use every core once."""
    return max(1, (os.cpu_count() or 1) // runtime.processes)


def _code(process: subprocess.Popen[bytes]) -> int | None:
    """Exit code of a process if it ends within 5 seconds, else None."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(5)
    return None


def _end_group(others: list[subprocess.Popen[bytes]]) -> None:
    """Leave the process group, wait for the other ranks, and kill those that do not end."""
    import torch.distributed as group

    if group.is_initialized():
        group.destroy_process_group()
    for other in others:
        try:
            # after an error the others may wait for this rank for ever
            other.wait(PATIENCE if sys.exc_info()[0] is None else 0.1)
        except subprocess.TimeoutExpired:
            other.kill()
            other.wait()
        if other.stdin is not None:
            other.stdin.close()


def _free_port() -> int:
    """A free port of this machine, chosen by the kernel."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(file: Path, rank: int) -> int:
    """Build the request in a file as one rank of the group. Its output goes to a scratch folder: only rank 0 publishes."""
    end_with_the_run()
    request = Request.from_json(json.loads(file.read_text(encoding="utf-8")))
    runtime = request.runtime.resolve()
    runtime.apply()
    parents = [store() / key for key in request.step.parents]

    def silent(_: Progress) -> None:
        return

    with tempfile.TemporaryDirectory(prefix=f"transferline-crew-{rank}-") as scratch:
        out, state = Path(scratch) / "out", Path(scratch) / "state"
        out.mkdir()
        state.mkdir()
        seed, parent = request.step.seed or 0, parents[0] if parents else None
        work = Work(request.data, seed, out, state, runtime, silent, parent, request.title, tuple(parents), cache())
        request.step.stage.build(work)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
