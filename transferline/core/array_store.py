"""Append-only store of variable-length arrays, such as cached activations of frozen layers.

    rows.bin      all rows, one after another
    rows.json     name -> [start, length, CRC-32], replaced whole when a batch of rows has been written: the commit mark

A writer holds a lock. A writer that is killed leaves rows that the index does not name, and the next writer overwrites them.
The folder may be deleted at any moment. A store that has opened its rows reads them to its end. Before rows are used, each is
compared with its CRC, and rows that differ or are missing are made again.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from transferline.core.cost import Spent, add_spent, spent_so_far

ROWS, INDEX, LOCK = "rows.bin", "rows.json", "lock"
DELETED = 5  # times that the folder may be deleted while rows are being made, before that is an error


class Shelf:
    """Rows (length, width) of one type by name, under a folder."""

    def __init__(self, folder: Path, width: int, kind: type[np.generic]) -> None:
        self.folder, self.width, self.kind = folder, width, np.dtype(kind)
        self.places: dict[str, tuple[int, int, int]] = {}
        self._file: IO[bytes] | None = None
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
        start, length, _ = self.places[name]
        if not length:
            return np.zeros((0, self.width), self.kind)
        shape, offset = (length, self.width), start * self.width * self.kind.itemsize
        return np.memmap(self._rows(), self.kind, mode="r", offset=offset, shape=shape)

    def fill(
        self, names: Sequence[str], units: Sequence[float], make: Callable[[list[int]], Sequence[np.ndarray]]
    ) -> None:
        """Make the rows that are missing. `make` gets the positions in `names` of the missing rows.

        Rows that exist are charged at the cost of making them, in proportion to `units` (the amount to read for each name). So a
        stage costs the same whether or not another stage filled the store before it.
        """
        attempts = (self._filled(names, units, make) for _ in range(DELETED))
        made = next((done for done in attempts if done is not None), None)
        if made is None:
            raise OSError(f"{self.folder}: the cache was deleted {DELETED} times while its rows were made")
        reused = sum(units) - sum(units[i] for i in made)
        add_spent({name: each * reused for name, each in self.cost.items()})

    def _filled(
        self, names: Sequence[str], units: Sequence[float], make: Callable[[list[int]], Sequence[np.ndarray]]
    ) -> list[int] | None:
        """Make the missing rows. Returns their positions, or None if the folder was deleted meanwhile."""
        try:
            self._drop_damaged(names)
            wanted = self.missing(names)
            if wanted:
                with self.open():
                    self._drop_damaged(names)
                    wanted = self.missing(names)  # another process may have added them meanwhile
                    if wanted:
                        self._make(names, units, make, wanted)
            if names:
                self._rows()
        except FileNotFoundError:
            self.places, self._file = {}, None
            return None
        return wanted

    def _drop_damaged(self, names: Sequence[str]) -> None:
        """Forget the rows of these names that are not what the index says."""
        for name in set(names) & self.places.keys():
            if zlib.crc32(self._raw(name)) != self.places[name][2]:
                del self.places[name]

    def _raw(self, name: str) -> bytes:
        """The bytes of a row: fewer if the file ends before it, none if the file is gone."""
        start, length, _ = self.places[name]
        size = self.width * self.kind.itemsize
        try:
            return os.pread(self._rows().fileno(), length * size, start * size)
        except FileNotFoundError:
            return b""

    def _rows(self) -> IO[bytes]:
        if self._file is None:
            self._file = (self.folder / ROWS).open("rb")  # stays readable when the folder is deleted
        return self._file

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
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read()
            yield

    def add(self, rows: Sequence[tuple[str, np.ndarray]], cost: Spent) -> None:
        """Append rows. Call it within `open`."""
        end = max((start + length for start, length, _ in self.places.values()), default=0)
        path = self.folder / ROWS
        if not end:  # a new file: another process may still read the rows of a deleted index
            path.unlink(missing_ok=True)
            self._file = None
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(end * self.width * self.kind.itemsize)
            for name, row in rows:
                raw = np.ascontiguousarray(row, dtype=self.kind).tobytes()
                file.write(raw)
                self.places[name] = (end, len(row), zlib.crc32(raw))
                end += len(row)
        self.cost = cost
        part = self.folder / f"{INDEX}.part"
        part.write_text(json.dumps({"cost": cost, "places": self.places}), encoding="utf-8")
        part.replace(self.folder / INDEX)

    def _read(self) -> None:
        """Load the index. A damaged one, and one of a release without checks, counts as empty."""
        self.places, self._file = {}, None
        try:
            read = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            size = (self.folder / ROWS).stat().st_size
            places = {str(name): (int(start), int(n), int(crc)) for name, (start, n, crc) in read["places"].items()}
            self.cost = {str(name): float(value) for name, value in read["cost"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        bytes_of_row = self.width * self.kind.itemsize
        whole = {name: at for name, at in places.items() if at[0] >= 0 and at[1] >= 0}
        self.places = {name: at for name, at in whole.items() if (at[0] + at[1]) * bytes_of_row <= size}


def wanted(folder: Path) -> float:
    """Time of the last opening of a store, in seconds since the epoch. A store without rows counts from its creation."""
    index = folder / INDEX
    return (index if index.exists() else folder).stat().st_mtime
