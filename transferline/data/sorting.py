"""Texts in the order of their hashes, each once, however many there are: sorted through files, a part in memory at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from transferline.data.split import fingerprint

PARTS = 64  # one of them is in memory at a time; well under what a process may keep open (256 on some systems)


class Sorted:
    """Iterate over distinct texts by ascending fingerprint. Of two texts with one fingerprint the later is kept.

    Use it as a context: its temporary files lie under `folder`.
    """

    def __init__(self, texts: Iterable[str], folder: Path) -> None:
        self.texts, self.folder = texts, folder
        self.count = 0
        """texts that were read, copies among them"""

    def __enter__(self) -> Sorted:
        shutil.rmtree(self.folder, ignore_errors=True)  # left by a killed run
        self.folder.mkdir(parents=True)
        with ExitStack() as stack:
            paths = [self.folder / f"{number:02d}" for number in range(PARTS)]
            parts = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
            for text in self.texts:
                self.count += 1
                name = fingerprint(text)
                parts[int(name[:2], 16) * PARTS // 256].write(json.dumps([name, text]) + "\n")
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self.folder.iterdir()):
            with path.open(encoding="utf-8") as file:
                part = dict(json.loads(line) for line in file)
            yield from (part[name] for name in sorted(part))
