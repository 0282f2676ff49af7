"""Laws of vocabulary extension."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import build
from transferline.data.prepared_files import write_jsonl
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import read_tensors
from transferline.recipes.registry import ADAPTING

SMALL = {"tokens": 12_000, "schedule": {"batch_size": 16, "learning_rate": 3e-3}}


class TestVocabulary:
    def corpus(self, folder: Path, words: dict[str, int]) -> Path:
        rows = [{"text": f"the {word} was here"} for word, count in words.items() for _ in range(count)]
        write_jsonl(folder / "corpus.jsonl", rows)
        return folder / "corpus.jsonl"

    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        from transformers import BertConfig, BertModel, BertTokenizer

        folder = tmp_path / "base"
        folder.mkdir()
        words = [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            "the",
            "was",
            "here",
            "neo",
            "##na",
            "##tal",
            "rare",
            "##ly",
        ]
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(folder)
        BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
        return folder

    def test_a_frequent_word_in_pieces_becomes_a_token_that_starts_as_their_mean(self, base: Path, tmp_path) -> None:
        data = {"corpus": self.corpus(tmp_path, {"neonatal": 9, "rarely": 9, "here": 50})}
        stage = ADAPTING["vocabulary"].model_validate({"pieces": 3, "least": 5})
        out, figures = build(stage, data, tmp_path / "t", base)
        assert figures["new_words"] == 1
        assert figures["tokens_a_word"] < figures["tokens_a_word_before"]
        tokenizer = load_tokenizer(out)
        assert tokenizer.tokenize("the neonatal was rarely here") == ["the", "neonatal", "was", "rare", "##ly", "here"]
        old, new = (read_tensors(folder) for folder in (base, out))
        table = old["embeddings.word_embeddings.weight"]
        rows = table[[8, 9, 10]].mean(dim=0)
        torch.testing.assert_close(new["bert.embeddings.word_embeddings.weight"][len(table)], rows)
        assert torch.equal(new["bert.embeddings.word_embeddings.weight"][: len(table)], table)

    def test_rare_words_and_limits(self, base: Path, tmp_path: Path) -> None:
        data = {"corpus": self.corpus(tmp_path, {"neonatal": 3})}
        _, figures = build(ADAPTING["vocabulary"].model_validate({"least": 5}), data, tmp_path / "t", base)
        assert figures["new_words"] == 0

    def test_an_objective_follows_on_the_longer_vocabulary(self, base: Path, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        words = ["neonatal", "rarely", "the", "was", "here"]
        write_jsonl(tmp_path / "corpus.jsonl", [{"text": " ".join(rng.choice(words, 8))} for _ in range(200)])
        data = {"corpus": tmp_path / "corpus.jsonl"}
        stage = ADAPTING["vocabulary"].model_validate({"pieces": 2, "least": 5})
        longer, _ = build(stage, data, tmp_path / "v", base)
        masked = ADAPTING["masked"].model_validate({**SMALL, "block": 16})
        out, figures = build(masked, data, tmp_path / "m", longer)
        assert figures["heldout_loss"] < figures["heldout_loss_before"]
        twice, _ = build(stage.model_copy(update={"pieces": 2}), data, tmp_path / "w", out)
        assert len(load_tokenizer(twice)) == len(load_tokenizer(longer))  # they are tokens already
