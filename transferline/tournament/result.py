"""The result of a tournament: leaderboard, decision, curves, ablation, slices, flips, calibration, and clean test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transferline.data.prepared_files import read_jsonl
from transferline.evaluation.clean_rows import clean_scores
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.significance import Interval
from transferline.tournament.ablation import Added, ablate
from transferline.tournament.curves import group
from transferline.tournament.decision import Decision, decide
from transferline.tournament.leaderboard import Board, Evidence
from transferline.tournament.plan import SCRATCH
from transferline.tournament.slices import Flip, Slice, make_flips, make_slices


@dataclass(frozen=True)
class Result:
    """All data that the report shows."""

    target: str
    question: str
    metric: str
    rows: int
    looks: int
    board: Board
    decision: Decision
    curves: Mapping[str, Sequence[tuple[int, Interval]]]
    ablation: Sequence[Added]
    reference: str
    """the entry that the winner is compared with example by example: the best control by validation"""
    slices: Sequence[Slice]
    won: Sequence[Flip]
    lost: Sequence[Flip]
    shipped: Mapping[str, Predictions]
    """winner and reference -> predictions of the seed to ship"""
    clean: Mapping[str, Interval]
    """clean, contaminated -> score of the winner on test rows without and with copies elsewhere"""
    notes: Sequence[str] = ()


def make_result(
    target: str,
    question: str,
    evidence: Evidence,
    board: Board,
    *,
    between: Mapping[str, Sequence[Predictions]],
    contaminated: Sequence[str],
    looks: int,
    notes: Sequence[str] = (),
) -> Result:
    """Build the result from a tournament's evidence.

    `between` are predictions of the winner's chain cut after each adaptation stage. `contaminated` are ids of test rows with
    copies in other data, `looks` is the number of models evaluated on this test so far.
    """
    twins = {name: entry.twin for name, entry in evidence.tournament.entries.items() if entry.twin is not None}
    decision = decide(board, evidence.metric, evidence.margin, twins)
    winner = board.winner
    reference = next(n for n, row in board.rows.items() if row.control and n != winner and row.finding != "leaked")
    records = records_of(evidence)
    sides = [[evidence.test[leaf.key] for leaf in evidence.leaves(name)] for name in (winner, reference)]
    shipped = {name: evidence.test[evidence.shipped(name).key] for name in (winner, reference)}
    won, lost = make_flips(shipped[winner], shipped[reference], records)
    return Result(
        target,
        question,
        evidence.metric,
        len(shipped[winner].ids),
        looks,
        board,
        decision,
        {name: _curve(board, name) for name in board.rows},
        _ablation(evidence, winner, between),
        reference,
        make_slices(sides[0], sides[1], records),
        won,
        lost,
        shipped,
        clean_scores(evidence.metric, shipped[winner], contaminated),
        notes,
    )


def records_of(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """The records of the test by id."""
    return {record["id"]: record for record in read_jsonl(evidence.tournament.ground.data["test"].path)}


def _curve(board: Board, name: str) -> list[tuple[int, Interval]]:
    built = [budget for budget in board.budgets if group(name, budget) in board.scores.models]
    return [(budget, board.scores.interval(group(name, budget))) for budget in built]


def _ablation(evidence: Evidence, winner: str, between: Mapping[str, Sequence[Predictions]]) -> list[Added]:
    entry = evidence.tournament.entries[winner]
    assert entry.recipe is not None

    def made(name: str) -> list[Predictions]:
        return [evidence.test[leaf.key] for leaf in evidence.leaves(name)]

    return ablate(evidence.metric, entry.recipe, made(SCRATCH), made(entry.twin or winner), between, made(winner))
