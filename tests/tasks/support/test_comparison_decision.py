"""A decision is used only for the data, the base and the recipe that it was reached on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transferline.core.errors import InputError
from transferline.methods.parameter import Full, Probe
from transferline.recipes.chain import Data, Pin
from transferline.recipes.recipe import Recipe
from transferline.tasks.support.comparison_decision import DECISION, last_decision, settle
from transferline.tasks.support.tracking import client

FULL = Recipe(base="tiny", tune=Full())
DATA = {"train": Pin(Path("train"), "1"), "test": Pin(Path("test"), "2")}
MADE: dict[str, Any] = {
    "target": "reviews",
    "comparison": "default",
    "created": "today",
    "headline": "full ships",
    "ship": "full",
    "recipe": FULL.model_dump(mode="json"),
    "data": {"train": "1", "test": "2", "plays/train": "9"},  # of another recipe's source
    "base": {"name": "tiny", "key": "base-1"},
    "run": "run-7",
}


def test_an_unchanged_world_gives_the_recipe_that_was_decided_for() -> None:
    decided = settle(MADE, DATA, "base-1", {"full": FULL})
    assert (decided.name, decided.recipe, decided.run) == ("full", FULL, "run-7")


def test_a_recipe_that_is_not_declared_is_taken_as_it_was_decided() -> None:
    assert settle({**MADE, "ship": "full rank=4"}, DATA, "base-1", {}).recipe == FULL


@pytest.mark.parametrize(
    ("changed", "data", "base", "what"),
    [
        ({"ship": None, "headline": "a tie"}, DATA, "base-1", "it ships nothing: a tie"),
        ({}, {**DATA, "test": Pin(Path("test"), "3")}, "base-1", r"stale: it was made on other data \(test\)"),
        ({}, {"test": DATA["test"]}, "base-1", r"other data \(train\)"),
        ({}, {**DATA, "corpus": Pin(Path("c"), "4")}, "base-1", r"other data \(corpus\)"),
        ({}, DATA, "base-2", "base 'tiny' is another one now"),
        (
            {"recipe": Recipe(base="tiny", tune=Probe()).model_dump(mode="json")},
            DATA,
            "base-1",
            "recipe 'full' has been changed",
        ),
    ],
)
def test_a_stale_decision_is_refused(changed: dict[str, Any], data: Data, base: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        settle({**MADE, **changed}, data, base, {"full": FULL})
    assert "Run `transferline compare reviews default` again" in caught.value.mend


def test_the_last_finished_comparison_decides(bare: Path) -> None:
    with pytest.raises(InputError, match="there is none"):
        last_decision("reviews")
    experiment = client().create_experiment("reviews", artifact_location=(bare / "artifacts").as_uri())
    made = [("compare", "old", "FINISHED"), ("compare", "new", "FINISHED"), ("compare", "torn", "FAILED")]
    for start, (kind, ship, status) in enumerate([*made, ("retrain", "x", "FINISHED")], start=1):
        run = client().create_run(experiment, start_time=start, tags={"transferline.kind": kind}).info.run_id
        client().log_dict(run, {"ship": ship}, DECISION)
        client().set_terminated(run, status)
    assert last_decision("reviews") == {"ship": "new"}
