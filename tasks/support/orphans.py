"""What a killed run leaves behind: Prefect's ephemeral server and DVC's stage go on without their parent.

Every process that a run starts inherits TRANSFERLINE_PARENT. At the next start the ones whose parent is gone are ended, so
that ten kills do not leave ten servers.
"""

from __future__ import annotations

import os
import threading

import psutil

from transferline.core.settings import variable

MARK = variable("parent")


def end_orphans() -> int:
    """End this user's marked processes whose parent run is dead; returns how many."""
    ended = []
    for process in psutil.process_iter(["pid", "ppid"]):
        try:
            parent = process.environ().get(MARK)
            if parent and int(parent) != process.pid and not psutil.pid_exists(int(parent)):
                process.terminate()
                ended.append(process)
        except (psutil.Error, ValueError, OSError):  # gone meanwhile, or another user's
            continue
    _, alive = psutil.wait_procs(ended, timeout=5)
    for process in alive:
        process.kill()
    return len(ended)


def end_with_the_run() -> None:
    """For a helper process whose standard input is a pipe from its run: end as soon as that pipe does."""

    def wait() -> None:
        while os.read(0, 1):  # not through sys.stdin: its lock, held here, would abort the interpreter when it ends
            continue
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()
