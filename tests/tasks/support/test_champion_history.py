"""The history of champions stays readable, short enough for MLflow's column, and right about the last champions."""

from __future__ import annotations

import random

import pytest

from transferline.core.errors import InputError
from transferline.tasks.support.champion_history import (
    HISTORY,
    LONGEST,
    champions_of,
    new_move,
    read_moves,
    written,
)


@pytest.mark.parametrize("reason", ["better", "x" * 5000, "これは長い理由です。" * 100, 'a "quoted" \\ reason\n' * 50])
def test_a_thousand_promotions_fit_the_column_and_the_newest_moves_are_kept(reason: str) -> None:
    moves = []
    for version in range(1, 1001):
        moves.append(new_move("promote", str(version), reason, "Ada" * 50, str(version - 1) if version > 1 else None))
        value = written(moves)
        assert len(value) <= LONGEST
        moves = read_moves({HISTORY: value}, "film")
    assert [move["version"] for move in moves][-10:] == [str(v) for v in range(991, 1001)]
    assert moves[-1]["reason"] == reason[:200]


def test_the_champions_that_remain_are_those_of_the_whole_history() -> None:
    rng = random.Random(0)
    whole, kept, champions = [], [], ["0"]
    for version in range(1, 1001):
        # never deeper back than what is kept
        if rng.random() < 0.45 and len(champions) > 1 and len(champions_of(kept)) > 1:
            champions.pop()
            move = new_move("rollback", champions[-1], "complaints", "Ada", None)
        else:
            move = new_move("promote", str(version), "better", "Ada", champions[-1])
            champions.append(str(version))
        whole.append(move)
        kept = read_moves({HISTORY: written([*kept, move])}, "film")
        remembered = champions_of(kept)
        assert remembered == champions[-len(remembered) :]
    assert champions_of(whole) == champions


def test_rollbacks_go_twenty_champions_back_also_where_moves_have_left_the_list() -> None:
    moves, line = [], []
    for number in range(1, 1001):
        before = line[-1] if line else None
        if number % 3 == 0:
            line.pop()
            moves.append(new_move("rollback", line[-1], "complaints of many people" * 8, "Ada", None))
        else:
            line.append(str(number))
            moves.append(new_move("promote", str(number), "better in every way" * 10, "Ada", before))
        moves = read_moves({HISTORY: written(moves)}, "film")
        assert champions_of(moves)[-20:] == line[-20:]


def test_a_damaged_tag_is_one_error() -> None:
    with pytest.raises(InputError, match=r"its tag transferline\.champions is not JSON"):
        read_moves({HISTORY: '[{"what": "pro'}, "film")
