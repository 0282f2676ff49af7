"""Promotion in the registry: only a judged model, and only in place of the champion that it was compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transferline.core.checkpoint import Checkpoint
from transferline.core.errors import InputError
from transferline.evaluation.verdict import Verdict
from transferline.tasks.registering import Champion, _check_still_champion, find_champion
from transferline.tasks.support.tracking import client

VERDICT = Verdict("promote", "challenger", "tune-new", "superior", ())


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / "store"))
    client().create_registered_model("t")
    return client()


def crown(registry: Any, key: str | None) -> None:
    tags = {"transferline.key": key} if key else {}
    version = registry.create_model_version("t", "file:///nowhere", tags=tags)
    registry.set_registered_model_alias("t", "champion", version.version)


def champion(key: str) -> Champion:
    return Champion(Checkpoint(key=key, digest=""), "1")


def test_a_verdict_holds_against_the_champion_it_was_reached_against(registry) -> None:
    _check_still_champion("t", None, VERDICT)
    crown(registry, "tune-old")
    _check_still_champion("t", champion("tune-old"), VERDICT)


def test_a_champion_that_came_meanwhile_stops_the_promotion(registry) -> None:
    crown(registry, "tune-other")
    for judged in (None, champion("tune-old")):
        with pytest.raises(RuntimeError, match="tune-other became champion while"):
            _check_still_champion("t", judged, VERDICT)


def test_two_runs_that_promote_the_same_model_agree(registry) -> None:
    crown(registry, "tune-new")
    _check_still_champion("t", None, VERDICT)


def test_an_alias_on_a_foreign_version_is_refused_with_the_mend(registry) -> None:
    crown(registry, None)
    with pytest.raises(InputError, match="was not made by transferline"):
        find_champion.fn("t")


def test_without_a_model_there_is_no_champion(registry) -> None:
    assert find_champion.fn("nothing") is None
