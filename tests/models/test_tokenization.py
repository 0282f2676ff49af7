"""Which tokens of a long text a model gets to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kinds import QUICK, build, score
from tests.project import FILLER
from transferline.models.tokenization import FILE, TokenizerSettings, encode, load_tokenizer, tokenizer_settings_of
from transferline.recipes.registry import TUNING

LONG = " ".join((FILLER * 3)[:40])


def read(folder: Path, truncation: str, most: int = 12) -> list[str]:
    reading = TokenizerSettings(most, truncation)  # type: ignore[arg-type]
    tokenizer = load_tokenizer(folder, reading)
    return tokenizer.convert_ids_to_tokens(encode(tokenizer, [LONG], None, reading)["input_ids"][0])


def test_head_tail_and_both_ends(tiny: Path) -> None:
    words = LONG.split()
    assert read(tiny, "head") == ["[CLS]", *words[:10], "[SEP]"]
    assert read(tiny, "tail") == ["[CLS]", *words[-10:], "[SEP]"]
    head = round(0.25 * 10)
    assert read(tiny, "both") == ["[CLS]", *words[:head], *words[-(10 - head) :], "[SEP]"]


@pytest.mark.parametrize("truncation", ["head", "tail", "both"])
def test_a_text_that_fits_is_left_alone(tiny: Path, truncation: str) -> None:
    assert read(tiny, truncation, 60) == ["[CLS]", *LONG.split(), "[SEP]"]


@pytest.mark.parametrize("truncation", ["tail", "both"])
def test_a_model_reads_as_it_was_taught_to(truncation: str, kinds, tiny: Path, tmp_path: Path) -> None:
    """Through its tokenizer alone where that can say it, through reading.json where it cannot."""
    full = TUNING["full"].model_validate({**QUICK, "epochs": 1, "truncation": truncation, "max_tokens": 10})
    out, _ = build(full, kinds["single-label"], tmp_path / "t", tiny)
    assert (out / FILE).exists() == (truncation == "both")
    found = tokenizer_settings_of(out, load_tokenizer(out))
    assert (found.max_tokens, found.truncation) == (10, truncation)
    assert 0 <= score(out, kinds["single-label"]["test"], "accuracy", tmp_path / "said") <= 1


def test_of_a_pair_the_longer_text_is_cut(tiny: Path) -> None:
    reading = TokenizerSettings(12)
    tokenizer = load_tokenizer(tiny, reading)
    ids = encode(tokenizer, ["dull plot"], [LONG], reading)["input_ids"][0]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens[:4] == ["[CLS]", "dull", "plot", "[SEP]"]
    assert len(tokens) == 12
