"""Waits end: with what was waited for, or with an error that names its holder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.tasks.support.gpu_slots import slot
from transferline.tasks.support.locks import FlockLockManager, held
from transferline.tasks.support.waiting import holder_of, lock_within, try_lock, wait_until

SHORT = "0.0001"  # hours: 0.36 seconds


@pytest.fixture
def impatient(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TRANSFERLINE_WAIT_HOURS", SHORT)
    monkeypatch.setenv("TRANSFERLINE_SLOTS", str(bare / "slots"))
    return bare


def test_a_lock_that_is_never_freed_ends_in_an_error_with_its_holder(impatient: Path) -> None:
    me = f"process {os.getpid()} on {os.uname().nodename}"
    refused = pytest.raises(InputError, match=rf"'dvc-repro': is still held by {me} .*WAIT_HOURS")
    with held("dvc-repro"), refused, held("dvc-repro"):
        raise AssertionError("it was held twice")
    with held("dvc-repro"):  # freed again
        pass


def test_a_stage_that_another_run_builds_for_ever_is_an_error(impatient: Path) -> None:
    locks = FlockLockManager()
    assert locks.acquire_lock("tune-1/record.json", "one")
    with pytest.raises(InputError, match=r"tune-1/record\.json: is still held by process"):
        locks.acquire_lock("tune-1/record.json", "another")
    assert not locks.acquire_lock("tune-1/record.json", "another", acquire_timeout=0)
    locks.release_lock("tune-1/record.json", "one")
    assert locks.acquire_lock("tune-1/record.json", "another")
    locks.release_lock("tune-1/record.json", "another")


def test_a_device_that_stays_busy_is_an_error(impatient: Path) -> None:
    with slot(["0"]), pytest.raises(InputError, match="free device of 0: is still held"), slot(["0"]):
        raise AssertionError("one device was given twice")


def test_a_wait_returns_as_soon_as_it_is_over(tmp_path: Path) -> None:
    answers = iter([False, False, True])
    wait_until(lambda: next(answers), "it", poll=0.001)
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    lock_within(descriptor, "it")
    other = os.open(tmp_path / "lock", os.O_RDWR)
    assert not try_lock(other)
    assert str(os.getpid()) in holder_of(other)
    os.close(descriptor)
    assert try_lock(other)
