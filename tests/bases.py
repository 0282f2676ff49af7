"""A tiny, randomly initialised base of each family, with a tokenizer that sets that family's special tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.project import BAD, FILLER, GOOD

WORDS = sorted({*GOOD, *BAD, *FILLER})
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "</s>"]
# special tokens before and after a single text, and between and after a pair
FRAMES = {
    "encoder": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "decoder": ("$A", "$A $B:1"),
    "two-sided": ("$A </s>", "$A </s> $B:1 </s>:1"),
    "permuted": ("$A [SEP] [CLS]", "$A [SEP] $B:1 [SEP]:1 [CLS]:1"),
}
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SHORT = {"max_position_embeddings": 96}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("encoder", {**SIZE, **SHORT}),
    "roberta": ("encoder", {**SIZE, **SHORT}),
    "albert": ("encoder", {**SIZE, **SHORT, "embedding_size": 16}),
    "electra": ("encoder", {**SIZE, **SHORT, "embedding_size": 32}),
    "distilbert": ("encoder", {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, **SHORT}),
    "deberta-v2": (
        "encoder",
        {**SIZE, **SHORT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
    ),
    "modernbert": ("encoder", {**SIZE, **SHORT, "global_attn_every_n_layers": 1}),
    "xlnet": ("permuted", {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64}),
    "gpt2": ("decoder", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96}),
    "llama": ("decoder", {**SIZE, **SHORT, "num_key_value_heads": 2}),
    "t5": ("two-sided", {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}),
}


def write_tiny(family: str, folder: Path, words: list[str] | None = None, more: dict[str, Any] | None = None) -> Path:
    """Write a base of a family to a folder. Its vocabulary consists of whole words. `more` are values of its config."""
    import torch
    from transformers import AutoConfig, AutoModel

    shape, size = FAMILIES[family]
    tokenizer = tokenizer_of(shape, words or WORDS)
    ids = {
        "pad_token_id": 0,
        "bos_token_id": 2,
        "cls_token_id": 2,
        "eos_token_id": 5,
        "sep_token_id": 3,
        "decoder_start_token_id": 0,
    }
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **ids, **{**size, **(more or {})})
    torch.manual_seed(7)
    auto: Callable[[Any], Any] = AutoModel.from_config
    auto(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tokenizer_of(shape: str, words: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    single, pair = FRAMES[shape]
    used = [(token, vocabulary[token]) for token in SPECIAL]
    backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=used)
    named = {"unk_token": "[UNK]", "pad_token": "[PAD]", "eos_token": "</s>", "model_max_length": 64}
    if shape in ("encoder", "permuted"):
        named |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    inputs = (
        ["input_ids", "token_type_ids", "attention_mask"] if shape == "permuted" else ["input_ids", "attention_mask"]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=inputs, **named)
