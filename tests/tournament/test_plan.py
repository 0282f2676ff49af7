"""One DAG: what is shared is built once, and what is added changes nothing that was there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tournament.made import RECIPES, SPEC, ground
from transferline.core.errors import InputError
from transferline.methods.objectives import Masked
from transferline.methods.parameter import Full
from transferline.models.bases import FolderBase
from transferline.models.families import Family
from transferline.recipes.chain import plan
from transferline.recipes.comparison import changed, variants
from transferline.recipes.recipe import Recipe
from transferline.tournament.plan import Tournament, plan_tournament

ALL = ground()


def keys(made: Tournament) -> set[str]:
    return set(made.steps)


def test_with_all_labels_a_leaf_is_the_model_that_retrain_builds() -> None:
    made = plan_tournament(ALL, RECIPES)
    for name, recipe in RECIPES.items():
        chain = plan("t", SPEC, name, recipe, FolderBase(method="folder", path="b"), ALL.data)
        assert tuple(leaf.key for leaf in made.group(name)) == chain.roles["challenger"]
    chain = plan("t", SPEC, "full", RECIPES["full"], FolderBase(method="folder", path="b"), ALL.data)
    assert tuple(leaf.key for leaf in made.group("scratch")) == chain.roles["scratch"]
    assert tuple(leaf.key for leaf in made.group("tfidf")) == chain.roles["tfidf"]


def test_adaptation_is_shared_by_all_budgets_and_seeds() -> None:
    made = plan_tournament(ALL, {"adapted": RECIPES["adapted"]})
    assert sum(step.kind == "adapt" for step in made.steps.values()) == 1
    assert sum(step.kind == "base" for step in made.steps.values()) == 1


@pytest.mark.parametrize("more", ["seed", "recipe", "budget"])
def test_adding_something_later_keeps_every_key_that_was_there(more: str) -> None:
    few = {name: RECIPES[name] for name in ("adapted", "full", "probe")}
    before = plan_tournament(ALL, few)
    larger = {"seed": replace(ALL, seeds=4), "budget": replace(ALL, budgets=(20, 50, 100, 200))}.get(more, ALL)
    after = plan_tournament(larger, RECIPES if more == "recipe" else few)
    assert keys(before) < keys(after)
    if more == "seed":
        assert {leaf.seed for leaf in after.leaves if leaf.key not in keys(before)} == {3}


def test_the_controls_are_always_in_and_twins_stand_beside_adaptation() -> None:
    made = plan_tournament(ALL, {"adapted": RECIPES["adapted"]})
    assert set(made.entries) == {"adapted", "adapted unadapted", "frozen-probe", "scratch", "tfidf", "majority"}
    assert made.entries["adapted"].twin == "adapted unadapted"
    both = plan_tournament(ALL, {name: RECIPES[name] for name in ("adapted", "full", "probe")})
    assert set(both.entries) == {"adapted", "full", "probe", "scratch", "tfidf", "majority"}
    assert (both.entries["adapted"].twin, both.entries["probe"].control) == ("full", True)


def test_below_all_labels_every_seed_has_labels_of_its_own() -> None:
    made = plan_tournament(ALL, {"probe": RECIPES["probe"]})
    assert len({leaf.key for leaf in made.group("probe", 20)}) == 3
    assert len(made.group("probe")) == 1  # no randomness, and the same labels for all
    steps = made.needed(made.group("probe", 20))
    assert sorted((s.stage.canonical()["count"], s.seed) for s in steps if s.kind == "select") == [
        (20, 0),
        (20, 1),
        (20, 2),
    ]


def test_what_a_leaf_needs_comes_before_it() -> None:
    made = plan_tournament(ALL, RECIPES)
    for leaf in made.leaves:
        steps = made.needed([leaf])
        there: set[str] = set()
        for step in steps:
            wanted = {*step.parents, *(name for _, name in step.data if name.startswith("select-"))}
            assert wanted <= there
            there.add(step.key)
        assert leaf.key in there


def test_a_recipe_that_the_base_does_not_admit_is_refused_before_anything_is_built() -> None:
    decoder = replace(ALL, families={"b": Family("gpt2")})
    with pytest.raises(InputError, match="masked"):
        plan_tournament(decoder, {"m": Recipe(base="b", adapt=(Masked(),), tune=Full(pooling="first"))})


def test_variations_change_one_path_and_name_it() -> None:
    made = variants({"adapted": RECIPES["adapted"]}, {"adapt.0.tokens": (10, 20)})
    assert list(made) == ["adapted tokens=10", "adapted tokens=20"]
    assert [recipe.adapt[0].model_dump()["tokens"] for recipe in made.values()] == [10, 20]
    assert changed(RECIPES["full"], {}, "x") == RECIPES["full"]
    for path in ("tune.nothing", "adapt.0.tokens", "tune.epochs.more"):
        with pytest.raises(InputError, match=path.replace(".", r"\.")):
            changed(RECIPES["full"], {path: 3}, "recipe 'full'")
    with pytest.raises(InputError, match="greater than or equal to 1"):
        changed(RECIPES["full"], {"tune.epochs": 0}, "recipe 'full'")


def test_keys_of_label_budgets_do_not_change_by_accident() -> None:
    made = plan_tournament(ALL, {"adapted": RECIPES["adapted"], "probe": RECIPES["probe"]})
    found = {f"{leaf.entry} {leaf.budget}": leaf.key for leaf in made.leaves if leaf.seed == 0 and leaf.budget == 20}
    assert found == GOLDEN


GOLDEN = {
    "adapted 20": "tune-26cbb5f2930fbe7f",
    "adapted unadapted 20": "tune-78521403392d5b3a",
    "majority 20": "control-464112abeebf039b",
    "probe 20": "tune-f67ab1438a92445c",
    "scratch 20": "control-77ebc2da8d9f0cbe",
    "tfidf 20": "control-7a286dd11fb5df47",
}
