"""Laws of prompt tuning."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.kinds import build
from tests.methods.parameter.laws import method
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import read_tensors


def test_prompts_stand_before_every_text_and_only_their_rows_move(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(
        method("prompt", tokens=3, schedule={"learning_rate": 0.05}), kinds["single-label"], tmp_path / "t", tiny
    )
    tokenizer = load_tokenizer(out)
    plain = load_tokenizer(tiny)
    ids = tokenizer("the film")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids[:3]) == ["[PROMPT0]", "[PROMPT1]", "[PROMPT2]"]
    assert ids[3:] == plain("the film")["input_ids"]
    pair = tokenizer("the film", "was dull")["input_ids"]
    assert pair[3:] == plain("the film", "was dull")["input_ids"]
    name = "bert.embeddings.word_embeddings.weight"
    before, after = read_tensors(tiny)["embeddings.word_embeddings.weight"], read_tensors(out)[name]
    assert torch.equal(after[: len(before)], before)
    assert len(after) == len(before) + 3
