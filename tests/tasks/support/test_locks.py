"""File locks that end with their holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.tasks.support.locks import FlockLockManager, held

HOLDER = """
import sys, time
from transferline.tasks.support.locks import FlockLockManager
assert FlockLockManager().acquire_lock("some/record.json", "the other process")
print("held", flush=True)
time.sleep(120)
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path))


def other_process() -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=os.environ.copy())
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    return process


def test_a_killed_holder_frees_its_lock_at_once() -> None:
    process = other_process()
    manager = FlockLockManager()
    assert manager.is_locked("some/record.json")
    assert not manager.acquire_lock("some/record.json", "me", acquire_timeout=0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert manager.acquire_lock("some/record.json", "me", acquire_timeout=5)
    manager.release_lock("some/record.json", "me")
    assert not manager.is_locked("some/record.json")


def test_only_the_holder_releases() -> None:
    manager = FlockLockManager()
    manager.acquire_lock("key", "me")
    assert manager.is_lock_holder("key", "me")
    assert not manager.is_lock_holder("key", "you")
    with pytest.raises(ValueError, match="does not hold"):
        manager.release_lock("key", "you")
    manager.release_lock("key", "me")


def test_a_second_thread_waits_for_the_first() -> None:
    manager = FlockLockManager()
    manager.acquire_lock("key", "first")
    order: list[str] = []

    def second() -> None:
        manager.acquire_lock("key", "second")
        order.append("second")
        manager.release_lock("key", "second")

    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.5)
    order.append("first")
    manager.release_lock("key", "first")
    thread.join(timeout=10)
    assert order == ["first", "second"]


def test_asking_again_as_the_holder_does_not_wait() -> None:
    manager = FlockLockManager()
    assert manager.acquire_lock("key", "me")
    assert manager.acquire_lock("key", "me", acquire_timeout=0)
    manager.release_lock("key", "me")


def test_a_block_is_held_by_one_at_a_time() -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        with held("block"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_waiting_for_a_lock_without_a_time_out_has_a_limit(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = FlockLockManager()
    assert manager.acquire_lock("key", "one")
    monkeypatch.setenv("TRANSFERLINE_WAIT_HOURS", "0.00001")
    with pytest.raises(InputError, match="the lock 'key': is still held by"):
        manager.wait_for_lock("key")
    assert not manager.wait_for_lock("key", timeout=0.01)
    manager.release_lock("key", "one")
    assert manager.wait_for_lock("key")
