"""A model folder whose tokenizer or weights cannot be used is refused before anything is built on it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.bases import FAMILIES, write_tiny
from transferline.core.errors import InputError
from transferline.models.folder_trial import check_fit, try_tokenizer

GROWING = {"type": "Replace", "pattern": {"String": "a"}, "content": "a a "}
TOKENIZERS: dict[str, Any] = {
    "no JSON": "{",
    "another thing": "[]",
    "endless search": {"normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}},
    "doubles 12 times": {"normalizer": {"type": "Sequence", "normalizers": [GROWING] * 12}},
    "doubles 60 times": {"normalizer": {"type": "Sequence", "normalizers": [GROWING] * 60}},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_sound_family_passes(family: str, tmp_path: Path) -> None:
    write_tiny(family, tmp_path / "model")
    check_fit(tmp_path / "model")
    try_tokenizer(tmp_path / "model")


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_tokenizer_that_fails_or_explodes_is_one_line(kind: str, tiny: Path, tmp_path: Path) -> None:
    path = shutil.copytree(tiny, tmp_path / "model") / "tokenizer.json"
    change = TOKENIZERS[kind]
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"is no tokenizer that can encode a text \(") as refused:
        try_tokenizer(path.parent)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hidden_size": 40}, "has the shape .* and config.json asks for"),
        ({"vocab_size": 7}, "has the shape .* and config.json asks for"),
        ({"hidden_size": 10**9, "intermediate_size": 10**9}, "has the shape .* and config.json asks for"),
        ({"num_hidden_layers": 10**9}, "asks for 1000000000 layers"),
        ({"num_attention_heads": 7}, "describes no model that can be made"),
        ({"hidden_size": -1}, "config.json"),
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_refused(
    setting: dict[str, int], message: str, tiny: Path, tmp_path: Path
) -> None:
    path = shutil.copytree(tiny, tmp_path / "model") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | setting))
    with pytest.raises(InputError, match=message):
        check_fit(path.parent)
