"""Everybody is tuned equally, and halving keeps the best."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from transferline.methods.parameter import Full, Lora, Probe
from transferline.recipes.recipe import Recipe
from transferline.tournament.hyperparameters import EPOCHS, RATE, best_of, halve, longer, rungs, tried
from transferline.tournament.hyperparameters import settings as points


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=15), st.integers(2, 4), st.integers(0, 14))
def test_halving_never_drops_who_dominates_at_every_rung(values: list[float], factor: int, best: int) -> None:
    names = [f"r{i}" for i in range(len(values))]
    star = names[best % len(names)]
    score = dict(zip(names, values, strict=True)) | {star: 2.0}
    stops = rungs(9, factor)
    left = halve(names, stops, factor, lambda some, _: {name: score[name] for name in some})
    assert len(left) == len(stops) - 1
    assert all(star in some for some in left)
    assert all(set(later) <= set(earlier) for earlier, later in itertools.pairwise(left))


def test_halving_drops_most_of_a_field_and_does_not_ask_about_them_again() -> None:
    asked: list[list[str]] = []
    names = [f"r{i}" for i in range(27)]

    def scores(some: list[str], seeds: int) -> dict[str, float]:
        asked.append(some)
        return {name: float(name[1:]) for name in some}

    left = halve(names, rungs(9, 3), 3, scores)
    assert len(left[0]) < 18
    assert len(left[1]) < 12
    assert asked[1] == left[0]
    assert (
        halve(list(reversed(names)), rungs(9, 3), 3, scores)[1] == left[1][::-1]
    )  # the order of listing decides nothing


def test_rungs_grow_by_the_factor_and_end_with_all_seeds() -> None:
    assert (rungs(9, 3), rungs(3, 3), rungs(5, 2), rungs(3, 0)) == ([1, 3, 9], [1, 3], [1, 2, 4, 5], [3])


def test_every_recipe_gets_the_same_number_of_trials_over_the_same_space() -> None:
    full, lora = (points(Recipe(base="b", tune=tune), 5, "x") for tune in (Full(), Lora(schedule=Full().schedule)))
    assert len(full) == len(lora) == 5
    assert full[0] == {}  # what was declared is among them
    assert full == lora
    assert all(5e-6 <= one[RATE] <= 5e-4 and 1 <= one[EPOCHS] <= 20 for one in full[1:])
    assert points(Recipe(base="b", tune=Probe()), 5, "x") == [{}]


def test_trials_are_named_by_what_they_change() -> None:
    made = tried("full", Recipe(base="b", tune=Full()), 3)
    assert len(made) == 3
    assert made["full"] == Recipe(base="b", tune=Full())
    other = next(name for name in made if name != "full")
    tune = made[other].tune
    assert other == f"full rate={tune.schedule.learning_rate:g} epochs={tune.epochs}"  # type: ignore[attr-defined]


def test_of_equals_the_first_is_chosen() -> None:
    assert best_of({"a": 0.5, "b": 0.7, "c": 0.7}) == "b"


def test_equal_compute_lengthens_training_and_patience_alike() -> None:
    made = longer(Recipe(base="b", tune=Full(epochs=4, patience=2)), 2.6).tune
    assert (made.epochs, made.patience) == (10, 5)  # type: ignore[attr-defined]
    probe = Recipe(base="b", tune=Probe())
    assert longer(probe, 5.0) is probe
