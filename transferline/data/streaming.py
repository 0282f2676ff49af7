"""A corpus as packed blocks without ever holding it: read, tokenised and packed as a stream, into a file that is mapped.

The same blocks as `blocks.pack` and `blocks.stream_of` make of the whole, in memory that does not grow with the corpus.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from transferline.core.errors import InputError
from transferline.data.blocks import is_held_out, tokenise
from transferline.data.prepared_files import contents

AT_ONCE = 1000  # texts that are tokenised together
PROBE = 64  # blocks on which the objective itself is measured


def blocks_of(
    path: Path, tokenizer: Any, block: int, end: int, frame: tuple[int, int] | None, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Training blocks, memory-mapped from a file under `folder`, and held-out blocks: int32 of shape (n, block).

    Documents are joined by `end`. `frame` holds the tokens before and after each block. Raises InputError if there is no
    document to train on, or too little text for one block.
    """
    made = folder / f"blocks-{block}.bin"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = made.with_suffix(".part")
        trained = (text for text in contents(path) if not is_held_out(text))
        first = next(trained, None)
        if first is None:
            raise InputError(path, "the corpus has no document to train on", "Bring more text")
        with part.open("wb") as file:
            _write(file, itertools.chain([first], trained), tokenizer, block, end, frame)
        part.replace(made)
    blocks = np.memmap(made, np.int32, mode="r").reshape(-1, block)
    measured = list(itertools.islice((text for text in contents(path) if is_held_out(text)), PROBE * block))
    measured = measured or list(itertools.islice(contents(path), 1))
    again = itertools.chain.from_iterable(itertools.repeat(measured, 1 + block // 8))
    probe = list(itertools.islice(_rows(again, tokenizer, block, end, frame, 16), PROBE))
    return blocks, np.stack(probe) if probe else blocks[:1]


def _write(
    file: BinaryIO, texts: Iterable[str], tokenizer: Any, block: int, end: int, frame: tuple[int, int] | None
) -> None:
    count = 0
    for row in _rows(texts, tokenizer, block, end, frame, AT_ONCE):
        file.write(row.tobytes())
        count += 1
    if count == 0:
        raise InputError(
            "corpus", f"its tokens do not fill one block of {block}", "Bring more text or set a smaller `block`"
        )


def _rows(
    texts: Iterable[str], tokenizer: Any, block: int, end: int, frame: tuple[int, int] | None, at_once: int
) -> Iterator[np.ndarray]:
    """Yield complete blocks. The last, incomplete one is dropped."""
    body = block - (2 if frame else 0)
    left = np.zeros(0, dtype=np.int32)
    texts = iter(texts)
    while some := list(itertools.islice(texts, at_once)):
        tokens = np.fromiter(
            itertools.chain.from_iterable((*ids, end) for ids in tokenise(tokenizer, some)), dtype=np.int32
        )
        left = np.concatenate([left, tokens])
        whole = len(left) // body
        for row in left[: whole * body].reshape(whole, body):
            yield row if frame is None else np.concatenate([[frame[0]], row, [frame[1]]]).astype(np.int32)
        left = left[whole * body :]
