"""Size and power of the statistics, measured on simulated tournaments with known effects."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tournament.made import says
from transferline.tournament import statistics
from transferline.tournament.statistics import Scores, expected_effect, holm

ROWS, SEEDS, TOURNAMENTS = 400, 3, 100


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 120)


def found(skill: float, std: float, recipes: int = 3, tournaments: int = TOURNAMENTS) -> float:
    """Share of simulated tournaments in which some recipe is told apart from the first, which has this much more skill."""
    hits = 0
    for number in range(tournaments):
        rng = np.random.default_rng(number)
        ease = rng.normal(0.5, 1, ROWS)
        skills = [skill, *[0.0] * (recipes - 1)]
        groups = {f"r{i}": [says(rng, ease, s, std) for _ in range(SEEDS)] for i, s in enumerate(skills)}
        scores = Scores("accuracy", groups)
        p = holm({name: scores.difference("r0", name).p for name in groups if name != "r0"})
        hits += min(p.values()) < 0.05
    return hits / tournaments


@pytest.mark.slow
@pytest.mark.parametrize("std", [0.0, 0.4])
def test_copies_of_one_recipe_are_a_tie_in_95_of_100_tournaments(std: float) -> None:
    """However much luck the seeds have; 10 of 100 would have a probability under 3 % if the size were 5 %."""
    assert found(0.0, std) <= 0.09


@pytest.mark.slow
def test_a_large_effect_is_found_and_a_larger_one_more_often() -> None:
    small, large = found(0.3, 0.05, tournaments=40), found(0.6, 0.05, tournaments=40)
    assert small < large
    assert large > 0.8


def test_resampling_few_seeds_would_find_differences_that_are_not_there() -> None:
    """Why seeds have Student's t here: the two-level bootstrap errs several times as often as it promises."""
    wrong = 0
    for number in range(TOURNAMENTS):
        rng = np.random.default_rng(number)
        ease = rng.normal(0.5, 1, ROWS)
        one, two = (np.stack([says(rng, ease, 0.0, 0.4).quality for _ in range(SEEDS)]) for _ in range(2))
        drawn = []
        for _ in range(120):
            seeds, rows = rng.integers(0, SEEDS, SEEDS), rng.integers(0, ROWS, ROWS)
            drawn.append((one - two)[seeds][:, rows].mean())
        low, high = np.quantile(drawn, [0.025, 0.975])
        wrong += low > 0 or high < 0
    assert wrong / TOURNAMENTS > 0.12


def test_the_detectable_effect_is_found_about_as_often_as_it_says() -> None:
    """One seed, two models that disagree on a known share: the effect stated beforehand has 80 % power."""
    rows, disagreement, hits = 800, 0.2, 0
    effect = expected_effect(rows, disagreement)
    ids = tuple(map(str, range(rows)))
    for number in range(60):
        rng = np.random.default_rng(number)
        kind = rng.choice(3, rows, p=[1 - disagreement, (disagreement + effect) / 2, (disagreement - effect) / 2])
        y_true = np.zeros(rows, dtype=int)
        sides = [np.where(kind == loser, 1, 0) for loser in (2, 1)]
        models = {str(i): [_model(ids, y_true, side)] for i, side in enumerate(sides)}
        hits += Scores("accuracy", models).difference("0", "1").p < 0.05
    assert 0.62 < hits / 60 < 0.95


def _model(ids: tuple[str, ...], y_true: np.ndarray, said: np.ndarray) -> statistics.Predictions:
    return statistics.Predictions(ids, ("a", "b"), y_true, np.stack([said == 0, said == 1], axis=1).astype(float))
