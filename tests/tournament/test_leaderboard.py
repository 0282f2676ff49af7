"""Leaderboards whose answers are known: who is chosen, what is a tie, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.tournament.made import world
from transferline.tournament.comparison_figures import pareto_front
from transferline.tournament.costs import Cost, chain_cost, reached
from transferline.tournament.decision import Decision, decide
from transferline.tournament.leaderboard import Board, make_board

TWINS = {"adapted": "full"}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transferline.tournament.statistics.RESAMPLES", 300)


def decided(board: Board) -> Decision:
    return decide(board, "accuracy", 0.02, TWINS)


def test_validation_chooses_and_the_test_only_says_what_the_choice_is_worth(tmp_path: Path) -> None:
    """`lora` is better on the test, `full` on validation: `full` is shipped, and the report says that it looks wrong."""
    evidence = world(
        tmp_path, ["full", "lora"], {"full": 0.3, "lora": 1.2}, validation_skills={"full": 1.5, "lora": 0.2}
    )
    board = make_board(evidence)
    assert board.winner == "full"
    assert board.rows["lora"].finding == "better"
    assert any("validation chose wrongly" in said and "lora" in said for said in decided(board).sure)


def test_copies_are_called_a_tie_and_the_difference_that_can_be_seen_is_stated(tmp_path: Path) -> None:
    board = make_board(world(tmp_path, ["full", "lora", "freeze"], {"full": 0.5, "lora": 0.5, "freeze": -1.5}))
    findings = {name: board.rows[name].finding for name in ("full", "lora", "freeze")}
    assert sorted(findings.values()) == ["tie", "winner", "worse"]
    assert findings["freeze"] == "worse"
    decision = decided(board)
    assert any("a tie with" in said for said in decision.sure)
    assert 0.01 < board.detectable < 0.15
    assert any(f"{board.detectable:.3f}" in said for said in decision.sure)


def test_what_is_ahead_and_not_proven_asks_for_more_of_what_is_unsure(tmp_path: Path) -> None:
    board = make_board(world(tmp_path, ["full"], {"full": 1.5}))
    against = board.best.against_control
    assert against is not None
    assert against.difference.value > 0
    for seeds_error, lack in ((0.1, "--seeds 5"), (0.001, "test rows")):
        unsure = replace(against.difference, seeds_error=seeds_error, examples_error=0.01)
        row = replace(board.best, against_control=replace(against, p=0.06, difference=unsure))
        decision = decided(replace(board, rows={**board.rows, board.winner: row}))
        assert decision.ship is None
        assert decision.headline == f"ship nothing: full is not proven to beat {board.control}"
        assert any(lack in said for said in decision.next)


def test_a_recipe_that_has_seen_the_test_is_flagged_and_not_ranked(tmp_path: Path) -> None:
    """However well it scores."""
    board = make_board(world(tmp_path, ["full", "lora"], {"full": 0.5, "lora": 3.0}, leaky=["lora"]))
    assert (board.winner, board.rows["lora"].finding) == ("full", "leaked")
    row = board.rows["lora"]
    assert row.against_winner is None
    assert row.chance == 0.0
    with pytest.raises(ValueError, match="every recipe was trained on rows"):
        make_board(world(tmp_path, ["full"], {}, leaky=["full", "frozen-probe"]))


def test_harmful_transfer_is_named_with_what_it_lost_to(tmp_path: Path) -> None:
    """Adaptation that hurts loses to its twin; a model of flipped source labels to the controls without transfer as well."""
    hurt = make_board(world(tmp_path, ["adapted", "full"], {"adapted": -0.2, "full": 0.8}))
    assert hurt.negative() == {"adapted": "full"}
    assert any("leave out adapted" in said for said in decided(hurt).next)
    flipped = make_board(world(tmp_path, ["full", "lora"], {"full": 0.8, "lora": -3.0}))
    assert flipped.negative() == {"lora": "majority"} or flipped.negative()["lora"] in ("tfidf", "majority")
    assert decided(flipped).negative["lora"] == flipped.control


def test_nothing_is_shipped_that_does_not_beat_the_controls(tmp_path: Path) -> None:
    board = make_board(world(tmp_path, ["full"], {"full": 0.5, "tfidf": 0.5, "frozen-probe": -0.5}))
    decision = decided(board)
    assert decision.ship is None
    assert decision.headline.startswith("ship nothing")


def test_as_good_and_cheaper_is_proven_not_assumed(tmp_path: Path) -> None:
    """As good within the margin on many rows, and not so on few."""
    skills, flops = {"full": 0.5, "probe": 0.5}, {"full": 1e12, "probe": 1e9}
    many = make_board(
        world(tmp_path, ["full", "probe"], skills, flops=flops, rows=20000, validation_skills={"full": 2.0})
    )
    assert many.winner == "full"
    assert many.rows["probe"].as_good_and_cheaper
    assert any("probe is as good within 0.02 and 1000x cheaper" in said for said in decided(many).cost)
    few = make_board(world(tmp_path, ["full", "probe"], skills, flops=flops, rows=200, validation_skills={"full": 2.0}))
    assert not few.rows["probe"].as_good_and_cheaper


def test_chances_to_be_the_best_add_up_to_one(tmp_path: Path) -> None:
    board = make_board(world(tmp_path, ["full", "lora", "probe"], {"full": 1.0}))
    assert sum(row.chance for row in board.rows.values()) == pytest.approx(1.0)
    assert board.best.chance > 0.9


def test_more_labels_or_more_adaptation(tmp_path: Path) -> None:
    """Half a unit of skill a budget, nothing from adaptation: labels would pay."""
    board = make_board(world(tmp_path, ["adapted", "full"], {"adapted": 0.5, "full": 0.5}, rows=1500))
    said = decided(board).next[0]
    assert said.startswith("label more texts")
    assert "adaptation (adapted) adds" in said


def test_a_chain_costs_what_its_stages_cost() -> None:
    one = {"cost": {"flops": 10.0, "tokens": 1.0, "seconds": 2.0, "peak_bytes": 5.0, "curve": []}}
    two = {"cost": {"flops": 1.0, "tokens": 2.0, "seconds": 3.0, "peak_bytes": 4.0, "curve": []}}
    assert chain_cost(["a", "b"], {"a": one, "b": two}) == Cost(11.0, 3.0, 5.0, 5.0)
    unknown = chain_cost(["a", "c"], {"a": one, "c": {}})
    assert np.isnan(unknown.flops)


def test_a_score_is_reached_at_the_first_validation_that_has_it() -> None:
    curve = [{"score": s, "flops": f, "seconds": t} for s, f, t in ((0.5, 1.0, 1.0), (0.7, 2.0, 2.0), (0.6, 3.0, 3.0))]
    adapt = {"cost": {"flops": 10.0, "tokens": 0.0, "seconds": 5.0, "peak_bytes": 0.0, "curve": []}}
    tune = {"cost": {"flops": 3.0, "tokens": 0.0, "seconds": 3.0, "peak_bytes": 0.0, "curve": curve}, "summary": {}}
    lineages = {"a": adapt, "t": tune}
    assert vars(reached(["a", "t"], lineages, 0.6)) == {"flops": 12.0, "seconds": 7.0}
    assert reached(["a", "t"], lineages, 0.8).flops == float("inf")


def test_the_front_has_what_nothing_cheaper_matches() -> None:
    assert pareto_front([(3.0, 0.7), (1.0, 0.5), (2.0, 0.4), (4.0, 0.7), (5.0, 0.9)]) == [1, 0, 4]
