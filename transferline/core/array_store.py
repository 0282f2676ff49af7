"""Append-only store of variable-length arrays, such as cached activations of frozen layers.

    rows.bin      all rows, one after another
    rows.json     name -> [start, length], replaced whole when a batch of rows has been written: the commit mark

A writer holds a lock. A writer that is killed leaves rows that the index does not name, and the next writer overwrites them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from transferline.core.cost import Spent, add_spent, spent_so_far

ROWS, INDEX, LOCK = "rows.bin", "rows.json", "lock"


class Shelf:
    """Rows (length, width) of one type by name, under a folder."""

    def __init__(self, folder: Path, width: int, kind: type[np.generic]) -> None:
        self.folder, self.width, self.kind = folder, width, np.dtype(kind)
        self.places: dict[str, tuple[int, int]] = {}
        self.cost: Spent = {}
        """tokens and FLOPs that its rows had cost, for each unit of their inputs"""
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / INDEX).exists():
            os.utime(folder / INDEX)  # when it was last wanted: what `gc` goes by
        self._read()

    def missing(self, names: Sequence[str]) -> list[int]:
        """Places in `names` of rows that are not there, each name once."""
        first = {name: i for i, name in reversed(list(enumerate(names)))}
        return sorted(i for name, i in first.items() if name not in self.places)

    def row(self, name: str) -> np.ndarray:
        """A row, (length, width), read from the file as it is needed."""
        start, length = self.places[name]
        if not length:
            return np.zeros((0, self.width), self.kind)
        shape, offset = (length, self.width), start * self.width * self.kind.itemsize
        return np.memmap(self.folder / ROWS, self.kind, mode="r", offset=offset, shape=shape)

    def fill(
        self, names: Sequence[str], units: Sequence[float], make: Callable[[list[int]], Sequence[np.ndarray]]
    ) -> None:
        """Make the rows that are missing. `make` gets the positions in `names` of the missing rows.

        Rows that exist are charged at the cost of making them, in proportion to `units` (the amount to read for each name). So a
        stage costs the same whether or not another stage filled the store before it.
        """
        wanted = self.missing(names)
        if wanted:
            with self.open():
                wanted = self.missing(names)  # another process may have added them meanwhile
                if wanted:
                    self._make(names, units, make, wanted)
        reused = sum(units) - sum(units[i] for i in wanted)
        add_spent({name: each * reused for name, each in self.cost.items()})

    def _make(
        self,
        names: Sequence[str],
        units: Sequence[float],
        make: Callable[[list[int]], Sequence[np.ndarray]],
        wanted: list[int],
    ) -> None:
        before = spent_so_far()
        rows = make(wanted)
        read = max(1.0, sum(units[i] for i in wanted))
        spent = {name: (spent_so_far()[name] - before[name]) / read for name in ("tokens", "flops")}
        metered = any(spent.values())
        self.add([(names[i], row) for i, row in zip(wanted, rows, strict=True)], spent if metered else self.cost)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Acquire the right to append, and reload the index, because another process may have added rows."""
        with (self.folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read()
            yield

    def add(self, rows: Sequence[tuple[str, np.ndarray]], cost: Spent) -> None:
        """Append rows. Call it within `open`."""
        end = max((start + length for start, length in self.places.values()), default=0)
        path = self.folder / ROWS
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(end * self.width * self.kind.itemsize)
            for name, row in rows:
                file.write(np.ascontiguousarray(row, dtype=self.kind).tobytes())
                self.places[name] = (end, len(row))
                end += len(row)
        self.cost = cost
        part = self.folder / f"{INDEX}.part"
        part.write_text(json.dumps({"cost": cost, "places": self.places}), encoding="utf-8")
        part.replace(self.folder / INDEX)

    def _read(self) -> None:
        path = self.folder / INDEX
        if path.exists():
            read = json.loads(path.read_text(encoding="utf-8"))
            self.cost, self.places = read["cost"], {name: (start, n) for name, (start, n) in read["places"].items()}


def wanted(folder: Path) -> float:
    """Time of the last opening of a store, in seconds since the epoch. A store without rows counts from its creation."""
    index = folder / INDEX
    return (index if index.exists() else folder).stat().st_mtime
