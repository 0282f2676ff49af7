"""Tokenizer settings: the number of tokens, and the truncation of long texts.

Sun et al., "How to Fine-Tune BERT for Text Classification?" (2019), section 5.3.1: keep the head of a long text, its tail, or both.
Head and tail are options of the tokenizer and are saved with it. "Both" is not, so the settings of such a model are saved in its
folder (reading.json) and applied by this module.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from transferline.data.blocks import affixes
from transferline.data.rows import FILE as ROWS
from transferline.data.rows import Rows

Truncation = Literal["head", "tail", "both"]
FILE = "reading.json"
HEAD_SHARE = 0.25  # share of the tokens that "both" takes from the head: 128 of 510 in Sun et al. (2019)


@dataclass(frozen=True)
class TokenizerSettings:
    """Tokenizer settings of a model."""

    max_tokens: int = 128
    """largest number of tokens in a text, special tokens included"""
    truncation: Truncation = "head"
    """the part of a longer text that is kept"""
    target_tokens: int = 64
    """largest number of tokens in a generated text"""

    def save(self, out: Path, generates: bool) -> None:
        """Write the settings beside a model, unless its tokenizer's own files hold them all."""
        if generates or self.truncation == "both":
            (out / FILE).write_text(json.dumps(asdict(self), sort_keys=True) + "\n", encoding="utf-8")


def tokenizer_settings_of(folder: Path, tokenizer: Any) -> TokenizerSettings:
    """The tokenizer settings of a model folder, from reading.json or from the tokenizer."""
    if (folder / FILE).exists():
        return TokenizerSettings(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    return TokenizerSettings(tokenizer.model_max_length, "tail" if tokenizer.truncation_side == "left" else "head")


def load_tokenizer(folder: Path, reading: TokenizerSettings | None = None, **more: Any) -> Any:
    """Load a folder's tokenizer with a padding token and, given `reading`, with its length and truncation.

    A base for feature matrices gives a `Rows` reader instead. `more` goes to `AutoTokenizer.from_pretrained`.
    """
    if (folder / ROWS).exists():
        return Rows.from_pretrained(folder)
    from transformers import AutoTokenizer

    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True, **more}
    if reading is not None:
        options |= {"model_max_length": reading.max_tokens}
        options |= {"truncation_side": "left"} if reading.truncation == "tail" else {}
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    if tokenizer.pad_token is None:  # many decoders have none
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def encode(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None, reading: TokenizerSettings
) -> dict[str, list]:
    """Tokenise texts or pairs of texts, with special tokens and without padding: lists by the names of the model's inputs.

    The longer text of a pair is truncated first, and "both" truncates pairs like "head".
    """
    if reading.truncation == "both" and pairs is None and not isinstance(tokenizer, Rows):
        return _both_ends(tokenizer, texts, reading.max_tokens)
    second = None if pairs is None else list(pairs)
    return dict(tokenizer(list(texts), second, truncation=True, max_length=reading.max_tokens))


def _both_ends(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> dict[str, list]:
    """Tokenise texts and keep the first quarter of the tokens from the head, the rest from the tail."""
    before, after = affixes(tokenizer)
    room = max_tokens - len(before) - len(after)
    head = max(1, round(HEAD_SHARE * room))
    ids = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    kept = [row if len(row) <= room else [*row[:head], *row[len(row) - (room - head) :]] for row in ids]
    inputs = {"input_ids": [[*before, *row, *after] for row in kept]}
    inputs["attention_mask"] = [[1] * len(row) for row in inputs["input_ids"]]
    if "token_type_ids" in tokenizer.model_input_names:
        inputs["token_type_ids"] = [[0] * len(row) for row in inputs["input_ids"]]
    return inputs


# usual contents of special tokens, by the role that transformers gives them
_ROLES = {
    "unk_token": ("<unk>", "[UNK]"),
    "pad_token": ("<pad>", "[PAD]"),
    "bos_token": ("<s>",),
    "eos_token": ("</s>",),
}


def fast_tokenizer(file: Path) -> Any:
    """The tokenizer of a tokenizer.json, which knows its special tokens by their usual names."""
    from transformers import PreTrainedTokenizerFast

    whole = json.loads(file.read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in whole.get("added_tokens", []) if token.get("special")}
    known = {role: token for role, names in _ROLES.items() for token in names if token in special}
    return PreTrainedTokenizerFast(tokenizer_file=str(file), model_input_names=["input_ids", "attention_mask"], **known)
