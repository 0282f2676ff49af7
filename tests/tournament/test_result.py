"""What the report shows of a tournament: parts, flips, stages, tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from tests.tournament.made import RECIPES, says, world
from transferline.evaluation.predictions import Predictions
from transferline.methods.instance import Nearest
from transferline.methods.objectives import Masked, SimCSE
from transferline.methods.parameter import Full
from transferline.recipes.recipe import Recipe
from transferline.tournament.ablation import ablate, prefixes
from transferline.tournament.decision import to_json
from transferline.tournament.leaderboard import make_board
from transferline.tournament.page import render
from transferline.tournament.result import Result, make_result
from transferline.tournament.result_tables import board_rows, curve_rows, flat, leaf_rows, markdown, metrics
from transferline.tournament.slices import make_flips, make_slices

IDS = tuple(f"{i:016x}" for i in range(200))
TRUTH = np.arange(200) % 2


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transferline.tournament.statistics.RESAMPLES", 200)


@pytest.fixture
def result(tmp_path: Path) -> Result:
    evidence = world(tmp_path, ["adapted", "full", "probe"], {"adapted": 1.0, "full": 0.2}, flops={"full": 2e9})
    return make_result(
        "t", "default", evidence, make_board(evidence), between={}, contaminated=[], looks=7, notes=["a note"]
    )


def model(right: np.ndarray) -> Predictions:
    said = np.where(right, TRUTH, 1 - TRUTH)
    return Predictions(IDS, ("a", "b"), TRUTH, np.stack([said == 0, said == 1], axis=1).astype(float))


def records(**columns: list[str]) -> dict[str, dict]:
    return {
        name: {"text": "w " * (1 + i // 20), "slices": {c: values[i] for c, values in columns.items()}}
        for i, name in enumerate(IDS)
    }


def test_a_difference_that_lives_in_one_part_is_found_there_and_nowhere_else() -> None:
    channel = ["mail" if i < 100 else "chat" for i in range(200)]
    better = [model(np.ones(200, dtype=bool))] * 3
    worse = [model(np.arange(200) >= 50)] * 3
    found = {(part.by, part.name): part for part in make_slices(better, worse, records(channel=channel))}
    assert found["channel", "mail"].difference.low > 0.3
    chat = found["channel", "chat"].difference
    assert chat.value == 0.0
    assert -0.05 < chat.low < 0 < chat.high < 0.05
    assert {name for by, name in found if by == "label"} == {"a", "b"}
    assert sum(part.rows for (by, _), part in found.items() if by == "length") == 200


def test_flips_go_in_both_directions_and_are_a_sample_by_id() -> None:
    one, other = model(np.arange(200) != 3), model((np.arange(200) != 5) & (np.arange(200) != 8))
    won, lost = make_flips(one, other, records())
    assert [flip.id for flip in won] == [IDS[5], IDS[8]]
    assert [(flip.id, flip.y_true, flip.one, flip.other) for flip in lost] == [(IDS[3], "b", "a", "b")]


def test_a_chain_is_cut_after_each_adaptation() -> None:
    recipe = Recipe(base="b", adapt=(Nearest(), Masked(text="selected"), SimCSE()), tune=Full())
    cut = prefixes("r", recipe)
    assert {name: len(one.adapt) for name, one in cut.items()} == {"r up to masked": 2}
    assert prefixes("r", RECIPES["adapted"]) == {}


def test_every_stage_is_worth_what_it_adds() -> None:
    rng = np.random.default_rng(0)
    ease = rng.normal(0.5, 1, 2000)
    parts = [[says(rng, ease, skill) for _ in range(3)] for skill in (-1.0, 0.0, 0.0, 1.0)]
    recipe = Recipe(base="b", adapt=(Masked(), SimCSE()), tune=Full())
    made = ablate("accuracy", recipe, parts[0], parts[1], {"r up to masked": parts[2]}, parts[3])
    assert [step.stage for step in made] == ["random weights", "+ weights of b", "+ masked", "+ simcse"]
    differences = [step.difference.interval for step in made[1:] if step.difference]
    assert differences[0].low > 0
    assert differences[1].low < 0 < differences[1].high
    assert differences[2].low > 0
    assert made[-1].score.value == pytest.approx(made[0].score.value + sum(d.value for d in differences))


def test_the_page_stands_alone_and_escapes_what_it_shows(result: Result) -> None:
    html = render(result)
    assert "What to ship" in html
    assert "a note" in html
    hostile = Result(**{**vars(result), "notes": ["<script>alert(1)</script>"]})
    assert "<script>" not in render(hostile)


def test_tables_agree_with_each_other(result: Result, tmp_path: Path) -> None:
    rows = {row["entry"]: row for row in board_rows(result)}
    assert rows["adapted"]["score"] == metrics(result)["entries"]["adapted"]["score"]
    assert flat(metrics(result))["entries/adapted/score"] == rows["adapted"]["score"]
    assert curve_rows(result)[-1]["adapted"] == pytest.approx(rows["adapted"]["score"])
    text = markdown(result)
    assert text.count("\n| ") == len(rows) + 2
    assert f"{rows['adapted']['score']:.3f}" in text


def test_every_model_has_a_row(tmp_path: Path) -> None:
    evidence = world(tmp_path, ["full"], {})
    rows = leaf_rows(evidence)
    assert len(rows) == len(evidence.tournament.leaves)
    assert {row["labels"] for row in rows} == {20, 50, 200}


def test_a_decision_keeps_its_recipe_whole(result: Result) -> None:
    kept = to_json(result.decision, RECIPES["adapted"], {"target": "t"})
    assert kept["ship"] == "adapted"
    assert TypeAdapter(Recipe).validate_python(kept["recipe"]) == RECIPES["adapted"]


def test_metric_names_are_what_a_tracker_takes() -> None:
    assert list(flat({"a tokens=5 [x, y]": {"b": 1.0, "c": "text", "d": float("nan")}})) == ["a tokens 5  x  y /b"]
