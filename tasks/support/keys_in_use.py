"""Keys of checkpoints that living runs use, so that `gc` of another process does not delete them.

Each process keeps one file in the store's .claims and holds its flock. The kernel frees the lock when the process ends, for any
reason: a file whose lock is free is of a dead process, and its keys count no more.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from transferline.core.project import store
from transferline.tasks.support.locks import held
from transferline.tasks.support.waiting import lock_if_free

LOCK = "keys-in-use"  # held while keys are claimed, and while one checkpoint is checked and deleted
_claimed: dict[Path, tuple[int, set[str]]] = {}  # folder -> descriptor of this process's file, and the keys in it


def claim(keys: Iterable[str]) -> None:
    """Keep checkpoints from `gc` as long as this process lives. Call it before looking whether they exist."""
    folder = _folder()
    with held(LOCK):
        if folder not in _claimed or not _path(folder).exists():  # a store that was deleted is begun anew
            descriptor = os.open(_path(folder), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _claimed[folder] = descriptor, set()
        descriptor, known = _claimed[folder]
        new = set(keys) - known
        os.write(descriptor, "".join(f"{key}\n" for key in sorted(new)).encode())
        known |= new


def keys_in_use() -> set[str]:
    """Keys that living processes have claimed. Removes the files of dead ones. Call it while holding `LOCK`."""
    found: set[str] = set()
    mine = _path(_folder())
    for path in _folder().glob("*.keys"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if path != mine and lock_if_free(descriptor):
                path.unlink(missing_ok=True)
            else:
                found |= set(path.read_text(encoding="utf-8").split())
        finally:
            os.close(descriptor)
    return found


def _folder() -> Path:
    folder = store() / ".claims"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _path(folder: Path) -> Path:
    return folder / f"{os.uname().nodename}-{os.getpid()}.keys"
