"""Champion alias: promotion, rollback, history. Garbage collection of checkpoints."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from transferline.core.array_store import INDEX
from transferline.core.checkpoint import RECORD
from transferline.core.errors import InputError
from transferline.tasks.promoting import champions, moves, promote, rollback, version_of_alias
from transferline.tasks.support.garbage import delete, lineage_of, unneeded
from transferline.tasks.support.tracking import client


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with one model of three versions, and an empty store."""
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    client().create_registered_model("film")
    for number in (1, 2, 3):
        tags = {"transferline.key": f"tune-{number}", "transferline.parents": f"adapt-{number}"}
        tags |= {"transferline.commit": "abc", "transferline.recipe": "full", "transferline.data.train": "md5"}
        client().create_model_version("film", f"file://{tmp_path}/model", tags=tags)
    return tmp_path / "store"


def champion() -> str:
    return str(version_of_alias("film", "champion").version)


def test_every_rollback_goes_one_champion_further_back(registry: Path) -> None:
    for version in ("1", "2", "3"):
        promote("film", version, f"better {version}")
    assert rollback("film", "complaints") == ("3", "2")
    assert rollback("film", "more complaints") == ("2", "1")
    assert champion() == "1"
    with pytest.raises(InputError, match="no champion before version 1"):
        rollback("film", "and more")
    promote("film", "3", "mended")
    assert champions("film") == ["1", "3"]
    assert rollback("film", "not mended") == ("3", "1")


def test_every_move_keeps_its_reason(registry: Path) -> None:
    promote("film", "1", "the first")
    promote("film", "1", "again")
    promote("film", "2", "the second")
    rollback("film", "too slow", by="Ada")
    assert [(m["what"], m["version"], m["reason"]) for m in moves("film")] == [
        ("promote", "1", "the first"),
        ("promote", "2", "the second"),
        ("rollback", "1", "too slow"),
    ]
    assert version_of_alias("film", "champion").tags["transferline.why"] == "rollback by Ada: too slow"


def test_a_champion_from_before_the_record_can_be_returned_to(registry: Path) -> None:
    client().set_registered_model_alias("film", "champion", "1")
    promote("film", "2", "new")
    assert rollback("film", "bad") == ("2", "1")


def test_what_does_not_exist_is_refused(registry: Path) -> None:
    with pytest.raises(InputError, match=r"There are: 1, 2, 3"):
        promote("film", "9", "typo")
    with pytest.raises(InputError, match="there is no champion"):
        rollback("film", "nothing there")
    with pytest.raises(InputError, match="has the alias 'champion'"):
        lineage_of("film")


def test_lineage_ends_with_the_command_that_rebuilds(registry: Path) -> None:
    found = lineage_of("film@2")
    assert found["key"] == "tune-2"
    assert found["data"] == {"train": "md5"}
    assert found["rebuild"] == "git checkout abc && dvc checkout && transferline run film full"


def checkpoint(store: Path, key: str, *parents: str, days: float = 100) -> None:
    folder = store / key
    folder.mkdir(parents=True)
    (folder / "lineage.json").write_text(json.dumps({"parents": parents}))
    (folder / RECORD).write_text("{}")
    then = time.time() - days * 86400
    for path in (folder / RECORD, folder):
        os.utime(path, (then, then))


def test_only_what_nobody_needs_goes(registry: Path) -> None:
    checkpoint(registry, "base-0")
    checkpoint(registry, "adapt-1", "base-0")
    checkpoint(registry, "tune-1", "adapt-1")  # registered
    checkpoint(registry, "predict-1", "tune-1")  # predictions of a registered model: the next comparison reuses them
    checkpoint(registry, "base-9")
    checkpoint(registry, "tune-9", "base-9")
    checkpoint(registry, "predict-9", "tune-9")
    checkpoint(registry, "adapt-8", days=100)
    checkpoint(registry, "tune-8", "adapt-8", days=1)  # younger than the limit, so its parent is kept too
    for name, days in (("prefix-1", 100), ("prefix-2", 1)):
        index = registry / ".cache" / name / INDEX
        index.parent.mkdir(parents=True)
        index.write_text("{}")
        os.utime(index, (time.time() - days * 86400,) * 2)
    names = {one.folder.name for one in unneeded(30)}
    assert names == {"base-9", "tune-9", "predict-9", "prefix-1"}
    assert (registry / "tune-9").exists()  # listing deletes nothing
    for one in unneeded(30):
        assert delete(one)
    assert unneeded(30) == []
    assert not (registry / "tune-9").exists()
    assert (registry / "tune-1" / RECORD).exists()
