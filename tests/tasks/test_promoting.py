"""The champion alias and its history."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.tasks import promoting
from transferline.tasks.promoting import (
    PENDING,
    champions,
    current_champion,
    moves,
    promote,
    rollback,
    version_of_alias,
)
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


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the code under test may catch it."""


class Dying:
    """A client that dies at its n-th change of the registry."""

    def __init__(self, at: int) -> None:
        self.real, self.at, self.changes = client(), at, 0

    def __getattr__(self, name: str) -> object:
        method = getattr(self.real, name)
        if not name.startswith(("set_", "delete_")):
            return method

        def change(*given: object) -> object:
            if self.changes == self.at:
                raise Killed
            self.changes += 1
            return method(*given)

        return change


@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("what", ["promote", "rollback"])
def test_a_move_killed_at_any_request_is_whole_for_the_next_reader(
    registry: Path, monkeypatch: pytest.MonkeyPatch, what: str, after: int
) -> None:
    promote("film", "1", "the first")
    promote("film", "2", "the second")
    dying = Dying(after)
    monkeypatch.setattr(promoting, "client", lambda: dying)
    with pytest.raises(Killed):
        promote("film", "3", "the third") if what == "promote" else rollback("film", "complaints")
    monkeypatch.undo()
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(registry.parent))
    monkeypatch.setenv("TRANSFERLINE_STORE", str(registry))
    now = str(current_champion("film").version)
    assert champions("film")[-1] == now == champion()
    if after:  # the move was begun: it is completed, with its reason
        assert (now, moves("film")[-1]["what"]) == ("3" if what == "promote" else "1", what)
        assert current_champion("film").tags["transferline.why"].startswith(what)
        assert len([m for m in moves("film") if m["what"] == what and m["version"] == now]) == 1
    else:
        assert now == "2"
    assert PENDING not in client().get_registered_model("film").tags
    if len(champions("film")) > 1:  # and the next rollback goes one back
        before = champions("film")[-2]
        assert rollback("film", "too slow") == (now, before)


def test_a_damaged_pending_move_is_one_error(registry: Path) -> None:
    promote("film", "1", "the first")
    client().set_registered_model_tag("film", PENDING, '{"what"')
    with pytest.raises(InputError, match=r"its tag transferline\.move is not JSON\. Delete the tag"):
        current_champion("film")
