from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bases import WORDS, tokenizer_of
from transferline.core.errors import InputError
from transferline.data.blocks import affixes, held_out, pack, pieces, stream_of, tokenise
from transferline.data.prepared_files import write_jsonl
from transferline.data.streaming import blocks_of


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


@pytest.mark.parametrize("frame", [None, (2, 3)])
def test_a_stream_gives_the_blocks_of_the_whole(frame, tmp_path: Path) -> None:
    """Batch after batch from a file, in memory that does not grow: the same blocks as from all tokens at once."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 30))) for _ in range(2500)]
    write_jsonl(tmp_path / "corpus.jsonl", ({"text": text} for text in texts))
    tokenizer = tokenizer_of("encoder", WORDS)
    trained, measured = held_out(tmp_path / "corpus.jsonl")
    blocks, probe = blocks_of(tmp_path / "corpus.jsonl", tokenizer, 16, 3, frame, tmp_path / "state")
    whole = [tokenise(tokenizer, some) for some in (trained, measured * (1 + 16 // 8))]
    wanted = [pack(some, 16, *frame) if frame else stream_of(some, 16, 3) for some in whole]
    assert np.array_equal(blocks, wanted[0])
    assert np.array_equal(probe, wanted[1][:64])
    (tmp_path / "corpus.jsonl").write_text('{"text": "x"}\n')  # a resumed run reads what it has made
    again, _ = blocks_of(tmp_path / "corpus.jsonl", tokenizer, 16, 3, frame, tmp_path / "state")
    assert np.array_equal(again, wanted[0])


def test_a_stream_of_too_little_text_is_an_error(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus.jsonl", [{"text": "film"}])
    with pytest.raises(InputError, match="do not fill one block"):
        blocks_of(tmp_path / "corpus.jsonl", tokenizer_of("encoder", WORDS), 128, 3, (2, 3), tmp_path / "state")
    assert not list((tmp_path / "state").glob("*.bin"))
