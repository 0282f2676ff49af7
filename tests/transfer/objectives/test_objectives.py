"""Laws of the objectives beside masked LM: noise within its bounds, balance, and that each learns what it is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import build
from transfer.corpora.files import read_texts, write_jsonl
from transfer.methods import ADAPTING
from transfer.objectives.causal import CausalLearner
from transfer.objectives.denoising import DenoisingLearner, damaged, tied
from transfer.objectives.next_sentence import NextSentence, NextSentenceLearner, drawn_pair, sentence_pairs
from transfer.objectives.permuted import PermutedLearner, read_in_order
from transfer.reading import load_tokenizer
from transfer.weights import load_model, read_tensors

Base = Callable[[str], Path]
SMALL = {"tokens": 12_000, "schedule": {"batch_size": 16, "rate": 3e-3}}


def within(hits: int, trials: int, p: float) -> bool:
    """Within five standard deviations of a binomial."""
    return abs(hits - trials * p) < 5 * np.sqrt(trials * p * (1 - p))


@pytest.mark.parametrize(
    ("name", "family", "more"),
    [
        ("masked", "bert", {"block": 16}),
        ("masked", "roberta", {"block": 16, "whole_words": True}),
        ("causal", "llama", {"block": 16}),
        ("permuted", "xlnet", {"block": 18}),
        ("next-sentence", "bert", {}),
        ("tsdae", "bert", {}),
    ],
)
def test_the_held_out_loss_falls(name: str, family: str, more: dict, kinds, bases: Base, tmp_path: Path) -> None:
    stage = ADAPTING[name].model_validate({**SMALL, **more})
    _, figures = build(stage, kinds["single-label"], tmp_path / "t", bases(family))
    assert figures["heldout_loss"] < figures["heldout_loss_before"]


def test_the_tasks_own_text_is_read_instead_of_the_corpus_where_a_recipe_says_so(kinds, tiny: Path, tmp_path) -> None:
    stage = ADAPTING["masked"].model_validate({**SMALL, "block": 16, "text": "task"})
    assert stage.roles() == ("train",)
    rows = len(read_texts(kinds["single-label"]["train"]))
    _, figures = build(stage, {"train": kinds["single-label"]["train"]}, tmp_path / "t", tiny)
    assert figures["examples"] == pytest.approx(rows * 10 / 14, rel=0.1)  # ten tokens a row, fourteen in a block


class TestNextSentence:
    PAIRS = tuple(([10 + i], [100 + i]) for i in range(500))

    def test_labels_are_balanced_and_false_pairs_are_false(self) -> None:
        drawn = [drawn_pair(self.PAIRS, i, 0, epoch) for epoch in range(4) for i in range(500)]
        assert within(sum(label for _, _, label in drawn), 2000, 0.5)
        for index, (first, second, label) in enumerate(drawn):
            assert first == [10 + index % 500]
            assert (second == [100 + index % 500]) == (label == 0)

    def test_an_example_depends_on_seed_epoch_and_index_alone(self) -> None:
        assert drawn_pair(self.PAIRS, 7, 0, 3) == drawn_pair(self.PAIRS, 7, 0, 3)
        assert any(drawn_pair(self.PAIRS, i, 0, 0) != drawn_pair(self.PAIRS, i, 1, 0) for i in range(20))

    def test_segments_tell_a_from_b(self, tiny: Path) -> None:
        tokenizer = load_tokenizer(tiny)
        model, _ = load_model("AutoModelForPreTraining", tiny, 0)
        learner = NextSentenceLearner(model, tokenizer, [([8, 9], [10, 11, 12])] * 2, NextSentence(masked=False), 0)
        batch = learner.collate([0], 0)
        cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        assert batch["input_ids"][0].tolist() == [cls, 8, 9, sep, 10, 11, 12, sep]
        assert batch["token_type_ids"][0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
        assert (batch["labels"] == -100).all()

    def test_sentences_of_a_document_are_paired_with_their_neighbours(self, tiny: Path) -> None:
        tokenizer = load_tokenizer(tiny)
        pairs = sentence_pairs(tokenizer, ["the film was dull. the plot was cold! a story."], 8)
        assert len(pairs) == 1
        first, second = (tokenizer.decode(side) for side in pairs[0])
        assert first.startswith("the film")
        assert second.startswith("the plot")

    def test_it_can_be_learnt_where_one_side_tells_the_other(self, tiny: Path, tmp_path: Path) -> None:
        """Documents of one word each, said twice: who follows whom is plain."""
        words = ["film", "story"]
        rows = [{"text": f"{w} {w}. {w} {w}."} for i in range(150) for w in words]
        write_jsonl(tmp_path / "corpus.jsonl", rows)
        stage = NextSentence(tokens=150_000, masked=False, schedule={"batch_size": 32, "rate": 2e-3})
        _, figures = build(stage, {"corpus": tmp_path / "corpus.jsonl"}, tmp_path / "t", tiny)
        assert figures["next_sentence_accuracy"] > 0.65  # a quarter cannot be told: another film is a film


class TestPermuted:
    def test_nobody_sees_what_comes_later_in_the_order_or_itself(self) -> None:
        for index in range(20):
            hidden, targets = read_in_order(24, 6, (0, 0, index))
            assert len(targets) == 4
            given = np.setdiff1d(np.arange(24), targets)
            assert not hidden[np.ix_(given, given)].any()  # what is given is seen by all that is given
            assert hidden[np.ix_(given, targets)].all()  # and sees nothing of what is to be predicted
            assert not hidden[np.ix_(targets, given)].any()
            among = hidden[np.ix_(targets, targets)]
            assert among.diagonal().all()
            assert ((~among).sum(axis=1).tolist()) != [0] * 4
            assert sorted((~among).sum(axis=1)) == [0, 1, 2, 3]  # a strict order

    def test_a_prediction_does_not_depend_on_what_is_hidden_from_it(self, bases: Base) -> None:
        model, _ = load_model("AutoModelForCausalLM", bases("xlnet"), 0)
        model.eval()
        blocks = np.random.default_rng(0).integers(6, 30, (1, 18)).astype(np.int32)
        learner = PermutedLearner(model, blocks, 6, 0)
        batch = learner.collate([0], 0)
        _, targets = read_in_order(18, 6, (0, 0, 0))
        changed = {**batch, "input_ids": batch["input_ids"].clone()}
        changed["input_ids"][0, targets] = 7
        inputs = [{k: v for k, v in some.items() if k != "labels"} for some in (batch, changed)]
        with torch.no_grad():
            one, two = (model(**some, use_mems=False).logits for some in inputs)
        first = int(np.argmin([row.sum() for row in (~read_in_order(18, 6, (0, 0, 0))[0][targets][:, targets])]))
        torch.testing.assert_close(one[0, first], two[0, first])  # the first in the order sees the given ones only


class TestDenoising:
    def test_the_share_that_is_left_is_as_declared_and_never_nothing(self) -> None:
        left = [len(damaged(list(range(50)), 0.6, (0, 0, i))) for i in range(400)]
        assert within(sum(left), 400 * 50, 0.4)
        assert all(damaged([5], 0.99, (0, 0, i)) == [5] for i in range(50))

    def test_what_is_left_keeps_its_order(self) -> None:
        for i in range(20):
            kept = damaged(list(range(30)), 0.6, (0, 1, i))
            assert kept == sorted(kept)

    def test_encoder_and_decoder_are_one_set_of_weights(self, tiny: Path) -> None:
        encoder, _ = load_model("AutoModel", tiny, 0)
        decoder, _ = load_model("AutoModelForCausalLM", tiny, 0, is_decoder=True, add_cross_attention=True)
        pair = tied(encoder, decoder)
        name = "encoder.layer.0.attention.self.query.weight"
        assert dict(pair.decoder.base_model.named_parameters())[name] is dict(encoder.named_parameters())[name]

    def test_the_decoder_sees_the_sentence_through_one_vector_only(self, tiny: Path) -> None:
        """With the pooled vector of another sentence the loss changes; with another padding it does not."""
        encoder, _ = load_model("AutoModel", tiny, 0)
        decoder, _ = load_model("AutoModelForCausalLM", tiny, 0, is_decoder=True, add_cross_attention=True)
        learner = DenoisingLearner(
            tied(encoder, decoder).eval(), load_tokenizer(tiny), [[8, 9, 10], [20, 21, 22]], 0.5, 0
        )
        batch = learner.collate([0], 0)
        other = {**batch, **{k: v for k, v in learner.collate([1], 0).items() if k.startswith("noisy")}}
        with torch.no_grad():
            assert float(learner.loss(batch)) != float(learner.loss(other))


def test_the_causal_loss_is_the_models_own(bases: Base) -> None:
    model, _ = load_model("AutoModelForCausalLM", bases("gpt2"), 0)
    blocks = np.random.default_rng(0).integers(6, 30, (4, 12)).astype(np.int32)
    learner = CausalLearner(model.eval(), blocks)
    batch = learner.collate(range(4), 0)
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"]).logits[:, :-1]
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["input_ids"][:, 1:].flatten())
        torch.testing.assert_close(learner.loss(batch), expected)


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


class TestWholeWords:
    def test_all_pieces_of_a_chosen_word_are_predicted_and_fifteen_percent_of_words_are_chosen(self) -> None:
        from transfer.objectives.masked import IGNORED, mask

        starts = np.arange(1000) < 500  # tokens from 500 on continue a word
        special = np.array([0, 1, 2])
        rng = np.random.default_rng(0)
        words = chosen = 0
        for i in range(300):
            block = np.concatenate(
                [[1], np.where(rng.random(62) < 0.4, rng.integers(500, 1000, 62), rng.integers(3, 500, 62)), [2]]
            )
            block[1] = 5
            _, labels = mask(block, (0, 0, i), 0.15, 3, np.arange(3, 1000), special, starts)
            word = np.cumsum(starts[block] | np.isin(block, special))
            for number in np.unique(word[1:-1]):
                inside = labels[word == number] != IGNORED
                assert inside.all() or not inside.any()
                words, chosen = words + 1, chosen + int(inside[0])
            assert (labels[[0, -1]] == IGNORED).all()
        assert within(chosen, words, 0.15)

    def test_the_three_marks_of_a_words_beginning(self, tiny: Path, bases: Base) -> None:
        from transfer.objectives.masked import word_starts

        class Fake:
            def __init__(self, tokens: list[str]) -> None:
                self.tokens = tokens

            def __len__(self) -> int:
                return len(self.tokens)

            def convert_ids_to_tokens(self, ids: range) -> list[str]:
                return [self.tokens[i] for i in ids]

        assert word_starts(Fake(["a", "##b"])).tolist() == [True, False]
        assert word_starts(Fake(["\u2581a", "b"])).tolist() == [True, False]
        assert word_starts(Fake(["\u0120a", "b"])).tolist() == [True, False]
        assert word_starts(Fake(["a", "b"])).tolist() == [True, True]


class TestNearest:
    def test_the_tasks_own_domain_is_picked_among_others(self, kinds, tiny: Path, tmp_path: Path) -> None:
        """A corpus of film sentences and of sentences over other words: those of the task's words are chosen."""
        rng = np.random.default_rng(0)
        own = read_texts(kinds["single-label"]["corpus"])[:60]
        foreign = [" ".join(rng.choice(["stent", "graft", "valve"], 9)) for _ in range(60)]
        write_jsonl(tmp_path / "corpus.jsonl", ({"text": text} for text in [*own, *foreign]))
        data = {**kinds["single-label"], "corpus": tmp_path / "corpus.jsonl"}
        out, figures = build(ADAPTING["nearest"].model_validate({"k": 3}), data, tmp_path / "t", tiny)
        chosen = read_texts(out / "corpus.jsonl")
        assert 3 <= len(chosen) == figures["chosen"]
        assert set(chosen) <= set(own)

    def test_a_text_picks_itself_first(self, tmp_path: Path) -> None:
        from transfer.instance.nearest import nearest

        points = np.random.default_rng(0).normal(size=(40, 8))
        chosen, distance = nearest(points, points[[3, 17]], 1)
        assert chosen == [3, 17]
        assert distance == pytest.approx(0, abs=1e-6)

    def test_an_objective_reads_what_was_selected(self, kinds, tiny: Path, tmp_path: Path) -> None:
        chosen, _ = build(ADAPTING["nearest"].model_validate({"k": 2}), kinds["single-label"], tmp_path / "s", tiny)
        stage = ADAPTING["masked"].model_validate({**SMALL, "block": 16, "text": "selected"})
        assert stage.roles() == ("selected",)
        _, figures = build(stage, {}, tmp_path / "m", tiny, chosen)
        assert figures["heldout_loss"] < figures["heldout_loss_before"]
