"""A registry that has lost its champion is not taken for a first run."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.tasks.promoting import promote, version_of_alias
from transferline.tasks.registering import check_champion_labels, find_champion
from transferline.tasks.support.champion_witness import check_not_lost
from transferline.tasks.support.tracking import client


def witness(store: Path) -> Path:
    return next((store / ".champions").glob("film-*.json"))


def test_a_lost_database_stops_a_run_before_anything_is_trained(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote("film", "2", "better")
    check_not_lost("film", "2")
    (registry.parent / "mlruns" / "mlflow.db").unlink()
    with pytest.raises(InputError, match=r"lost its champion \(version 2, key tune-2\)\. Restore MLflow's database"):
        check_champion_labels("film", None, None)  # type: ignore[arg-type]
    witness(registry).unlink()  # a person's word
    assert check_champion_labels("film", None, None) == []  # type: ignore[arg-type]


def test_a_lost_alias_and_a_torn_witness_count_as_a_loss(registry: Path) -> None:
    promote("film", "2", "better")
    client().delete_registered_model_alias("film", "champion")
    with pytest.raises(InputError, match="version 2, key tune-2"):
        find_champion.fn("film")
    witness(registry).write_text('{"model": "fi')
    with pytest.raises(InputError, match="its version is unreadable"):
        find_champion.fn("film")
    promote("film", "1", "chosen by hand")
    assert str(version_of_alias("film", "champion").version) == "1"
    check_not_lost("film", "1")


def test_another_registry_with_the_same_store_has_champions_of_its_own(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote("film", "2", "better")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://another:5000")
    check_not_lost("film", None)
