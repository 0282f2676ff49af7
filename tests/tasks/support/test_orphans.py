"""Orphan processes: those of dead runs are ended, those of living runs are not."""

from __future__ import annotations

import os
import subprocess
import sys

from transferline.tasks.support.orphans import MARK, end_orphans


def sleeper(parent: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, MARK: str(parent)}
    )


def test_what_a_dead_run_left_is_ended_and_what_a_living_one_runs_is_not() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    orphan, child = sleeper(gone.pid), sleeper(os.getpid())
    try:
        end_orphans()
        orphan.wait(timeout=10)  # ended here, or by another run that started at the same time
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
        orphan.kill()
