"""GPU slots: at most one holder per device, and a killed holder frees its slot."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.tasks.support.gpu_slots import built_for_devices, devices, slot

HOLDER = """
import time
from transferline.tasks.support.gpu_slots import slot
with slot() as taken:
    print(taken.device, flush=True)
    time.sleep(120)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_SLOTS", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "2")


@pytest.mark.parametrize(
    ("declared", "visible", "names"),
    [
        ("2", None, ["0", "1"]),
        ("0", None, []),
        ("2", "4,5,6", ["4", "5"]),
        ("", "1", ["1"]),
        ("", "", []),
        ("GPU-a, GPU-b", "0", ["GPU-a", "GPU-b"]),
    ],
)
def test_devices_are_declared_or_visible(declared: str, visible: str | None, names: list[str], monkeypatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", declared)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices() == names


def test_a_torch_that_was_built_for_no_device_is_known_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert built_for_devices() == (torch.version.cuda is not None or torch.version.hip is not None)
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "")
    ask = "from transferline.tasks.support.gpu_slots import devices"
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; {ask}; devices(); print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str(built_for_devices())


def test_a_slot_may_be_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "0+1,2+3")
    with slot() as first, slot() as second:
        assert [first.visible, second.visible] == ["0,1", "2,3"]


def test_a_list_with_a_hole_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "0,,1")
    with pytest.raises(InputError, match=r"TRANSFERLINE_GPU_SLOTS: .0,,1. is not a number of devices"):
        devices()


def test_without_a_device_the_answer_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "0")
    with pytest.raises(InputError, match="no GPU"), slot():
        pass


def test_never_more_holders_than_devices_and_never_two_on_one() -> None:
    held: list[str] = []
    seen: list[tuple[str, ...]] = []
    guard = threading.Lock()

    def work() -> None:
        with slot() as taken:
            with guard:
                held.append(taken.device)
                seen.append(tuple(held))
            time.sleep(0.3)
            with guard:
                held.remove(taken.device)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6
    assert all(len(now) == len(set(now)) <= 2 for now in seen)
    assert any(len(now) == 2 for now in seen)


def test_a_killed_holder_loses_its_slot_at_once() -> None:
    holders = [subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    names = {holder.stdout.readline().strip() for holder in holders if holder.stdout}
    assert names == {"0", "1"}
    holders[0].send_signal(signal.SIGKILL)
    holders[0].wait()
    start = time.monotonic()
    with slot() as taken:
        assert taken.device in names
    assert time.monotonic() - start < 60
    holders[1].kill()
    holders[1].wait()
