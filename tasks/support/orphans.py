"""End orphan processes of killed runs: Prefect's temporary server and DVC's stages survive their parent.

Every process that a run starts inherits TRANSFERLINE_PARENT. The next run ends those that have lost their parent, so that
ten kills do not leave ten servers.
"""

from __future__ import annotations

import os
import threading

import psutil

from transferline.core.settings import variable

MARK = variable("parent")


def end_orphans() -> int:
    """End this user's marked processes that have lost their parent run. Returns their number."""
    ended = []
    for process in psutil.process_iter(["pid", "ppid"]):
        try:
            parent = process.environ().get(MARK)
            if parent and int(parent) != process.pid and not psutil.pid_exists(int(parent)):
                process.terminate()
                ended.append(process)
        except (psutil.Error, ValueError, OSError):  # the process has ended meanwhile, or belongs to another user
            continue
    _, alive = psutil.wait_procs(ended, timeout=5)
    for process in alive:
        process.kill()
    return len(ended)


def end_with_the_run() -> None:
    """End this process when standard input, a pipe from the parent run, is closed."""

    def wait() -> None:
        # os.read and not sys.stdin: a thread that holds the lock of sys.stdin aborts the interpreter at exit
        while os.read(0, 1):
            continue
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()
