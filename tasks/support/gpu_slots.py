"""GPU slots of one machine: one flock file a device, freed by the kernel however its holder ends.

Every process of this user that wants a device goes through these files, whichever project or flow run it belongs to, so that
never more stages compute at once than there are devices, and each has one of its own.
"""

from __future__ import annotations

import fcntl
import os
import runpy
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from transferline.core.errors import InputError
from transferline.core.settings import settings

POLL = 0.2  # seconds between two looks for a free device


@dataclass(frozen=True)
class Slot:
    """One device, or several joined by `+`, that are ours for a while, and the open lock."""

    device: str
    descriptor: int

    @property
    def visible(self) -> str:
        """As CUDA_VISIBLE_DEVICES wants it."""
        return self.device.replace("+", ",")


def devices() -> list[str]:
    """Names of the devices that stages may use.

    TRANSFERLINE_GPU_SLOTS (a number, or names with commas) decides; left out, CUDA_VISIBLE_DEVICES does, else what torch
    finds. A name such as `0+1` is two devices for one stage. Raises InputError on names that are none.
    """
    declared, visible = settings().gpu_slots or "", settings().cuda_visible_devices
    if declared and not declared.isdecimal():
        return [name.strip() for name in declared.split(",")]
    if visible is not None:
        found = [name.strip() for name in visible.split(",") if name.strip()]
    elif declared:
        found = [str(number) for number in range(int(declared))]
    else:
        found = _found() if built_for_devices() else []
    return found[: int(declared)] if declared else found


def _found() -> list[str]:
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def built_for_devices() -> bool:
    """Whether the installed torch could see a device at all: its own note of how it was built says so, without an import."""
    package = find_spec("torch")
    if package is None or not package.submodule_search_locations:
        return False
    note = Path(package.submodule_search_locations[0]) / "version.py"
    told = runpy.run_path(str(note))
    return told.get("cuda") is not None or told.get("hip") is not None


@contextmanager
def slot(names: list[str] | None = None) -> Iterator[Slot]:
    """Wait for a free device and hold it for the length of a block. Raises InputError where there is none at all."""
    wanted = devices() if names is None else names
    if not wanted:
        mend = "Choose device cpu, or set TRANSFERLINE_GPU_SLOTS"
        raise InputError("device", "this machine has no GPU for stages", mend)
    taken = _take(wanted)
    while taken is None:
        time.sleep(POLL)
        taken = _take(wanted)
    try:
        yield taken
    finally:
        os.close(taken.descriptor)


def _take(names: list[str]) -> Slot | None:
    for name in names:
        descriptor = os.open(_folder() / f"gpu-{name.replace('/', '_')}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Slot(name, descriptor)
        os.close(descriptor)
    return None


def _folder() -> Path:
    """A folder of this machine, never of a shared disk: devices are the machine's."""
    folder = settings().slots or Path(tempfile.gettempdir()) / f"transferline-slots-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
