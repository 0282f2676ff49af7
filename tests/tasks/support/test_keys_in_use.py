"""`gc` deletes no checkpoint that a living process uses, and forgets those of dead ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tasks.support.test_garbage import checkpoint
from transferline.core.settings import inherited
from transferline.tasks.support import keys_in_use as module
from transferline.tasks.support.garbage import delete, unneeded
from transferline.tasks.support.keys_in_use import LOCK, claim, keys_in_use
from transferline.tasks.support.locks import held

CLAIM = (
    "from transferline.tasks.support.keys_in_use import claim; claim(['tune-9']); print('done', flush=True); input()"
)


@pytest.fixture(autouse=True)
def nothing_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_claimed", {})


def test_what_a_living_process_claims_stays_until_it_is_dead(registry: Path) -> None:
    checkpoint(registry, "base-9")
    checkpoint(registry, "tune-9", "base-9")
    before = unneeded(0)
    assert {one.folder.name for one in before} == {"base-9", "tune-9"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=inherited()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    assert unneeded(0) == []  # its parent is needed too
    assert not delete(next(one for one in before if one.folder.name == "tune-9"))  # listed before it was claimed
    assert (registry / "tune-9" / "record.json").exists()
    process.kill()
    process.wait()
    process.stdout.close()
    assert {one.folder.name for one in unneeded(0)} == {"base-9", "tune-9"}
    assert not list((registry / ".claims").iterdir())


def test_claims_of_this_process_add_up_and_survive_a_deleted_store(registry: Path) -> None:
    claim(["a-1", "b-1"])
    claim(["b-1", "c-1"])
    with held(LOCK):
        assert keys_in_use() == {"a-1", "b-1", "c-1"}
    next((registry / ".claims").iterdir()).unlink()
    claim(["d-1"])
    with held(LOCK):
        assert keys_in_use() == {"d-1"}
