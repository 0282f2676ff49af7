"""The champion alias and its history."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.tasks.promoting import champions, moves, promote, rollback, version_of_alias
from transferline.tasks.support.tracking import client


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
