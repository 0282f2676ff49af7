"""Locks that die with their holder.

Prefect's own file lock has no expiry: after a kill -9 the next run would wait for ever. The kernel frees an flock the moment
its process ends, however it ends. It holds among the processes that share a disk.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import anyio
from prefect.locking.protocol import LockManager

from transferline.core.project import locks

POLL = 0.2  # seconds between two looks at a lock that somebody holds


class FlockLockManager(LockManager):
    """A Prefect lock manager on flock: one lock file a key, held through an open descriptor of this process."""

    _held: ClassVar[dict[str, tuple[int, str]]] = {}  # path -> (descriptor, holder); shared by copies of the manager

    def acquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        """Take the lock of `key`, waiting at most `acquire_timeout` seconds (None: for ever)."""
        path = self._path(key)
        if self.is_lock_holder(key, holder):
            return True
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = None if acquire_timeout is None else time.monotonic() + acquire_timeout
        while not _try(descriptor):
            if deadline is not None and time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(POLL)
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
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            return not _try(descriptor)
        finally:
            os.close(descriptor)

    def is_lock_holder(self, key: str, holder: str) -> bool:
        return self._held.get(str(self._path(key)), (0, ""))[1] == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.is_locked(key):
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(POLL)
        return True

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        return await anyio.to_thread.run_sync(self.wait_for_lock, key, timeout)

    def _path(self, key: str) -> Path:
        return locks() / (key.replace("/", "__") + ".lock")


@contextmanager
def held(name: str) -> Iterator[None]:
    """Hold the lock `name` for the length of a block: what must not run twice at once on this disk."""
    descriptor = os.open(locks() / (name.replace("/", "__") + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
