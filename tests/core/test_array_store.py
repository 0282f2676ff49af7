"""Laws of the shelf: what was put there is there again, whoever was killed while adding."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from transferline.core.array_store import ROWS, Shelf
from transferline.core.cost import add_spent, metered

RNG = np.random.default_rng(0)


def rows(count: int, width: int = 4) -> list[tuple[str, np.ndarray]]:
    made = [RNG.normal(size=(RNG.integers(1, 9), width)).astype(np.float32) for _ in range(count)]
    return [(f"r{i}-{row.sum():.6f}", row) for i, row in enumerate(made)]


def same(shelf: Shelf, wanted: list[tuple[str, np.ndarray]]) -> bool:
    return all(np.array_equal(shelf.row(name), row) for name, row in wanted)


def test_rows_are_there_again_in_another_process(tmp_path: Path) -> None:
    shelf, first, second = Shelf(tmp_path, 4, np.float32), rows(20), rows(5)
    for some in (first, second):
        with shelf.open():
            shelf.add(some, {"flops": 7.0})
    again = Shelf(tmp_path, 4, np.float32)
    assert same(again, first + second)
    assert again.cost == {"flops": 7.0}
    names = [name for name, _ in first]
    assert again.missing([*names, "x", names[0], "x"]) == [20]


def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    shelf, first, second = Shelf(tmp_path, 4, np.float32), rows(3), rows(3)
    with shelf.open():
        shelf.add(first, {})
    with (tmp_path / ROWS).open("ab") as file:  # killed between the rows and the index
        file.write(b"torn" * 9)
    again = Shelf(tmp_path, 4, np.float32)
    with again.open():
        again.add(second, {})
    assert same(Shelf(tmp_path, 4, np.float32), first + second)


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    parts = [rows(10) for _ in range(6)]

    def write(part: list[tuple[str, np.ndarray]]) -> None:
        mine = Shelf(tmp_path, 4, np.float32)
        with mine.open():
            mine.add(part, {})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, parts))
    assert same(Shelf(tmp_path, 4, np.float32), [row for part in parts for row in part])


def test_a_row_that_is_not_there_is_no_silence(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        Shelf(tmp_path, 4, np.float32).row("nothing")


def test_what_is_there_is_not_made_again_and_costs_what_it_had_cost(tmp_path: Path) -> None:
    asked: list[list[int]] = []

    def make(wanted: list[int]) -> list[np.ndarray]:
        asked.append(wanted)
        add_spent({"tokens": 10.0 * len(wanted), "flops": 100.0 * len(wanted)})
        return [np.full((1, 4), i, dtype=np.float32) for i in wanted]

    with metered() as first:
        Shelf(tmp_path, 4, np.float32).fill(["a", "b"], [10, 10], make)
    with metered() as second:
        again = Shelf(tmp_path, 4, np.float32)
        again.fill(["b", "c", "a", "c"], [10, 10, 10, 10], make)
    assert asked == [[0, 1], [1]]
    assert (first.tokens, first.flops) == (20.0, 200.0)
    assert (second.tokens, second.flops) == (40.0, 400.0)
    assert [float(again.row(name)[0, 0]) for name in "abc"] == [0.0, 1.0, 1.0]
