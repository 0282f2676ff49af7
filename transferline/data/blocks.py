"""Token sequences for self-supervised objectives: packed blocks, and short pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.errors import InputError
from transferline.data.prepared_files import read_texts
from transferline.data.split import position

HELD_OUT = 0.02  # share of the documents on which the objective itself is measured


def tokenise(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens and without truncation."""
    encoded = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)
    return encoded["input_ids"]


def affixes(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that a tokenizer sets before and after a single text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]


def is_held_out(text: str) -> bool:
    """Whether a document is one that the objective is measured on: its text alone decides."""
    return position("held out " + text) < HELD_OUT


def held_out(path: Path) -> tuple[list[str], list[str]]:
    """The texts of a corpus to train on, and those to measure on: a document's side depends on its text alone."""
    texts = read_texts(path)
    measured = [text for text in texts if is_held_out(text)]
    trained = [text for text in texts if not is_held_out(text)]
    if not trained:
        raise InputError(path, "the corpus has no document to train on", "Bring more text")
    return trained, measured or trained[:1]


def pack(documents: Sequence[Sequence[int]], block: int, cls: int, sep: int) -> np.ndarray:
    """Pack documents into blocks of exactly `block` tokens, [CLS] ... [SEP], joined by [SEP]: int32 of shape (n, block).

    The last, incomplete block is dropped. If it is the only one, InputError is raised.
    """
    body = stream_of(documents, block - 2, sep)
    ends = [np.full((len(body), 1), token) for token in (cls, sep)]
    return np.concatenate([ends[0], body, ends[1]], axis=1).astype(np.int32)


def stream_of(documents: Sequence[Sequence[int]], block: int, end: int) -> np.ndarray:
    """Cut documents, each followed by `end`, into blocks of exactly `block` tokens: int32 of shape (n, block).

    The last, incomplete block is dropped. If it is the only one, InputError is raised.
    """
    stream = np.fromiter((t for document in documents for t in (*document, end)), dtype=np.int32)
    count = len(stream) // block
    if count == 0:
        what = f"{len(stream)} tokens do not fill one block of {block}"
        raise InputError("corpus", what, "Bring more text or set a smaller `block`")
    return stream[: count * block].reshape(count, block)


def padded(rows: Sequence[Sequence[int]], filler: int) -> Any:
    """Rows of token ids as one tensor, filled up on the right."""
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *([filler] * (width - len(row)))] for row in rows])


def pieces(documents: Sequence[Sequence[int]], longest: int, shortest: int = 8) -> list[list[int]]:
    """Documents cut into pieces of at most `longest` tokens, no piece across two documents, stubs dropped."""
    cut = [list(d[i : i + longest]) for d in documents for i in range(0, len(d), longest)]
    return [piece for piece in cut if len(piece) >= shortest] or cut
