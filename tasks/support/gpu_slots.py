"""GPU slots of one machine: one flock file per device. The kernel frees it when its holder ends, even by SIGKILL.

All projects and flow runs of a user share these files. At most one stage therefore computes on a device at a time.
"""

from __future__ import annotations

import os
import runpy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from transferline.core.errors import InputError
from transferline.core.settings import settings
from transferline.tasks.support.waiting import try_lock, wait_until


@dataclass(frozen=True)
class Slot:
    """One device, or several joined by `+`, with the file descriptor of its lock."""

    device: str
    descriptor: int

    @property
    def visible(self) -> str:
        """The value of CUDA_VISIBLE_DEVICES for this slot."""
        return self.device.replace("+", ",")


def devices() -> list[str]:
    """Names of the devices that stages may use.

    Read from TRANSFERLINE_GPU_SLOTS (a number, or names separated by commas), else from CUDA_VISIBLE_DEVICES, else from
    torch. A name such as `0+1` gives one stage two devices. Raises InputError on an empty name.
    """
    declared, visible = settings().gpu_slots or "", settings().cuda_visible_devices
    if declared and not declared.isdecimal():
        return [name.strip() for name in declared.split(",")]
    if visible is not None:
        found = [name.strip() for name in visible.split(",") if name.strip()]
    elif declared:
        found = [str(number) for number in range(int(declared))]
    else:
        found = _visible_to_torch() if built_for_devices() else []
    return found[: int(declared)] if declared else found


def _visible_to_torch() -> list[str]:
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def built_for_devices() -> bool:
    """Whether the installed torch was built for CUDA or ROCm. Reads torch/version.py, which is faster than importing torch."""
    package = find_spec("torch")
    if package is None or not package.submodule_search_locations:
        return False
    file = Path(package.submodule_search_locations[0]) / "version.py"
    build = runpy.run_path(str(file))
    return build.get("cuda") is not None or build.get("hip") is not None


@contextmanager
def slot(names: list[str] | None = None) -> Iterator[Slot]:
    """Wait for a free device and hold it during the block. Raises InputError if the machine has none."""
    wanted = devices() if names is None else names
    if not wanted:
        mend = "Choose device cpu, or set TRANSFERLINE_GPU_SLOTS"
        raise InputError("device", "this machine has no GPU for stages", mend)
    taken: list[Slot] = []

    def took() -> bool:
        found = _take(wanted)
        taken.extend([found] if found else [])
        return bool(taken)

    wait_until(took, f"a free device of {', '.join(wanted)}")
    try:
        yield taken[0]
    finally:
        os.close(taken[0].descriptor)


def _take(names: list[str]) -> Slot | None:
    for name in names:
        descriptor = os.open(_folder() / f"gpu-{name.replace('/', '_')}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        if try_lock(descriptor):
            return Slot(name, descriptor)
        os.close(descriptor)
    return None


def _folder() -> Path:
    """A folder of this machine, never of a shared disk: devices are the machine's."""
    folder = settings().slots or Path(tempfile.gettempdir()) / f"transferline-slots-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
