"""Waits with a limit: TRANSFERLINE_WAIT_HOURS for a lock, a device or a worker. The error names what was waited for."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

from transferline.core.errors import InputError
from transferline.core.settings import settings, variable
from transferline.tasks.support.progress import notice

POLL = 0.2  # seconds between two looks
SAID_AFTER = 30.0  # seconds until a wait is announced


def wait_until(
    ready: Callable[[], bool], what: str, holder: Callable[[], str] = lambda: "", poll: float = POLL
) -> None:
    """Poll until `ready`. Raises InputError after TRANSFERLINE_WAIT_HOURS. `holder` names the process that is waited for."""
    start, hours, said = time.monotonic(), settings().wait_hours, False
    while not ready():
        waited = time.monotonic() - start
        if waited > 3600 * hours:
            mend = f"End it if it hangs, or raise {variable('wait_hours')}"
            raise InputError(what, f"is still held by {holder() or 'another process'} after {hours:g} hours", mend)
        if waited > SAID_AFTER and not said:
            notice("waiting", "yellow", f"for {what}, held by {holder() or 'another process'}")
            said = True
        time.sleep(poll)


def lock_if_free(descriptor: int) -> bool:
    """Take the flock of an open file if it is free. Returns whether it is held."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_lock(descriptor: int) -> bool:
    """Take the flock of an open file if it is free, and write this process into the file. Returns whether it is held."""
    if not lock_if_free(descriptor):
        return False
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
    return True


def lock_within(descriptor: int, what: str) -> None:
    """Wait for the flock of an open file. Raises InputError after TRANSFERLINE_WAIT_HOURS, with its holder."""
    wait_until(lambda: try_lock(descriptor), what, lambda: holder_of(descriptor))


def holder_of(descriptor: int) -> str:
    """The process that a lock file names."""
    return os.pread(descriptor, 200, 0).decode(errors="replace")
