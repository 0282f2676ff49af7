"""Lineage of registered versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.tasks.promoting import promote
from transferline.tasks.support.lineage import find_version, lineage_of
from transferline.tasks.support.tracking import client


def test_lineage_ends_with_the_command_that_rebuilds(registry: Path) -> None:
    found = lineage_of("film@2")
    assert found["key"] == "tune-2"
    assert found["data"] == {"train": "md5"}
    assert found["rebuild"] == "git checkout abc && dvc checkout && transferline run film full"
    assert found["parents"] == ["adapt-2"]


def test_a_commit_with_changes_is_rebuilt_from_the_commit(registry: Path) -> None:
    client().set_model_version_tag("film", "1", "transferline.commit", "abc+changes")
    assert lineage_of("film@1")["rebuild"].startswith("git checkout abc && ")
    client().set_model_version_tag("film", "1", "transferline.commit", "no git commit")
    assert lineage_of("film@1")["rebuild"] == "transferline run film full"


def test_a_version_is_found_by_alias_or_number_and_the_champion_is_the_default(registry: Path) -> None:
    promote("film", "3", "the best")
    client().set_registered_model_alias("film", "challenger", "1")
    found = {name: str(find_version(name).version) for name in ("film", "film@champion", "film@challenger", "film@2")}
    assert found == {"film": "3", "film@champion": "3", "film@challenger": "1", "film@2": "2"}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("film", "no version of 'film' has the alias 'champion'"),
        ("film@best", "no version of 'film' has the alias 'best'"),
        ("film@9", "there is no such registered version"),
        ("book@1", "there is no such registered version"),
    ],
)
def test_a_version_that_does_not_exist_is_refused(name: str, what: str, registry: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_version(name)
    assert str(caught.value) == f"{name}: {what}. See `transferline models`"
