"""Laws of the shelf: what was put there is there again, also after a kill while rows were added."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from transferline.core.array_store import INDEX, LOCK, ROWS, Shelf
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


def filled(folder: Path, names: str, asked: list[list[int]] | None = None) -> Shelf:
    """A store with a row for each letter, whose numbers are the letter's code. `asked` gets the positions that were made."""

    def make(wanted: list[int]) -> list[np.ndarray]:
        if asked is not None:
            asked.append(wanted)
        return [np.full((3, 4), ord(names[i]), dtype=np.float32) for i in wanted]

    shelf = Shelf(folder, 4, np.float32)
    shelf.fill(list(names), [1.0] * len(names), make)
    return shelf


def right(shelf: Shelf, names: str) -> bool:
    return all(bool((np.array(shelf.row(name)) == ord(name)).all()) for name in names)


def test_a_store_that_is_deleted_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    shelf = filled(tmp_path / "s", "abc")
    shutil.rmtree(tmp_path / "s")
    assert right(shelf, "abc")
    assert right(filled(tmp_path / "s", "cab"), "abc")  # another run makes its own meanwhile
    assert right(shelf, "abc")


@pytest.mark.parametrize("file", [ROWS, INDEX, LOCK, None])
def test_whatever_is_deleted_between_two_runs_no_wrong_row_is_read(tmp_path: Path, file: str | None) -> None:
    folder = tmp_path / "s"
    before = filled(folder, "abc")
    shutil.rmtree(folder) if file is None else (folder / file).unlink()
    asked: list[list[int]] = []
    after = filled(folder, "xbcd", asked)
    assert right(after, "xbcd")
    assert right(Shelf(folder, 4, np.float32), "xbcd")
    assert right(before, "abc")
    assert asked == [[0, 3]] if file == LOCK else [[0, 1, 2, 3]]


def test_a_store_that_is_deleted_while_its_rows_are_made_is_made_again(tmp_path: Path) -> None:
    folder, times = tmp_path / "s", []

    def make(wanted: list[int]) -> list[np.ndarray]:
        times.append(len(wanted))
        if len(times) < 3:
            shutil.rmtree(folder)
        return [np.full((1, 4), 7, dtype=np.float32) for _ in wanted]

    shelf = Shelf(folder, 4, np.float32)
    shelf.fill(["a", "b"], [1, 1], make)
    assert times == [2, 2, 2]
    assert float(shelf.row("b")[0, 0]) == 7


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("file", [ROWS, INDEX])
def test_damage_is_noticed_and_made_again(tmp_path: Path, file: str, seed: int) -> None:
    folder, rng = tmp_path / "s", np.random.default_rng(seed)
    filled(folder, "abc")
    raw = bytearray((folder / file).read_bytes())
    at = int(rng.integers(len(raw)))
    match seed % 3:
        case 0:
            raw[at] ^= 1 << int(rng.integers(8))
        case 1:
            raw = raw[:at]
        case _:
            raw[at : at + 9] = bytes(len(raw[at : at + 9]))
    (folder / file).write_bytes(raw)
    again = filled(folder, "abcd")
    assert right(again, "abcd")
    assert right(filled(folder, "abcd"), "abcd")
