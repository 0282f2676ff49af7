"""File locks (flock) that end with their holder.

Prefect's own file lock does not expire: after SIGKILL the next run would wait for ever. The kernel frees an flock when its
process ends, for any reason. The lock works among processes that share a disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import anyio
from prefect.locking.protocol import LockManager

from transferline.core.project import locks
from transferline.tasks.support.waiting import POLL, lock_within, try_lock, wait_until


class FlockLockManager(LockManager):
    """Prefect lock manager based on flock: one lock file per key, held through an open descriptor of this process."""

    # path -> (descriptor, holder); on the class, so that copies of the manager share it
    _held: ClassVar[dict[str, tuple[int, str]]] = {}

    def acquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        """Take the lock of `key` within `acquire_timeout` seconds. Returns whether it is held.

        Without a time-out it raises InputError after TRANSFERLINE_WAIT_HOURS.
        """
        path = self._path(key)
        if self.is_lock_holder(key, holder):
            return True
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _taken(descriptor, key, acquire_timeout):
            os.close(descriptor)
            return False
        self._held[str(path)] = (descriptor, holder)
        return True

    async def aacquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        return await anyio.to_thread.run_sync(self.acquire_lock, key, holder, acquire_timeout, hold_timeout)

    def release_lock(self, key: str, holder: str) -> None:
        path = str(self._path(key))
        if path not in self._held or self._held[path][1] != holder:
            raise ValueError(f"{holder} does not hold the lock of {key}")
        descriptor, _ = self._held.pop(path)
        os.close(descriptor)  # closing frees the lock

    def is_locked(self, key: str) -> bool:
        path = self._path(key)
        if str(path) in self._held:
            return True
        # flock has no query: try to take the lock, and closing the descriptor gives it back
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            return not try_lock(descriptor)
        finally:
            os.close(descriptor)

    def is_lock_holder(self, key: str, holder: str) -> bool:
        return self._held.get(str(self._path(key)), (0, ""))[1] == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until `key` is free, for `timeout` seconds. Without a time-out it raises InputError as `acquire_lock` does."""
        if timeout is None:
            wait_until(lambda: not self.is_locked(key), f"the lock {key!r}")
            return True
        deadline = time.monotonic() + timeout
        while self.is_locked(key):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL)
        return True

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        return await anyio.to_thread.run_sync(self.wait_for_lock, key, timeout)

    def _path(self, key: str) -> Path:
        return locks() / (key.replace("/", "__") + ".lock")


@contextmanager
def held(name: str) -> Iterator[None]:
    """Hold the lock `name` during the block. Raises InputError if another process holds it longer than TRANSFERLINE_WAIT_HOURS."""
    descriptor = os.open(locks() / (name.replace("/", "__") + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock_within(descriptor, f"the lock {name!r}")
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, key: str, timeout: float | None) -> bool:
    if timeout is None:
        try:
            lock_within(descriptor, f"the lock of {key}")
        except BaseException:
            os.close(descriptor)
            raise
        return True
    deadline = time.monotonic() + timeout
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True
