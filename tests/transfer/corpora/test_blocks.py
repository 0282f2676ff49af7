from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transfer.corpora.blocks import affixes, pack, pieces
from transfer.errors import InputError


def test_packing_keeps_every_token_in_order() -> None:
    documents = [[10, 11, 12], [20, 21], [30, 31, 32, 33]]
    blocks = pack(documents, block=6, cls=1, sep=2)
    assert blocks.shape == (3, 6)
    assert (blocks[:, 0] == 1).all()
    assert (blocks[:, -1] == 2).all()
    assert blocks[:, 1:-1].ravel().tolist() == [10, 11, 12, 2, 20, 21, 2, 30, 31, 32, 33, 2]


def test_too_little_text_for_one_block_is_an_error() -> None:
    with pytest.raises(InputError, match="do not fill one block"):
        pack([[1, 2]], block=128, cls=1, sep=2)


def test_pieces_never_join_documents_and_lose_only_stubs() -> None:
    cut = pieces([list(range(25)), list(range(100, 109))], longest=10, shortest=8)
    assert [len(piece) for piece in cut] == [10, 10, 9]
    assert np.array_equal(cut[2], np.arange(100, 109))


def test_affixes_are_what_the_tokenizer_adds(tiny: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert affixes(tokenizer) == ([tokenizer.cls_token_id], [tokenizer.sep_token_id])
