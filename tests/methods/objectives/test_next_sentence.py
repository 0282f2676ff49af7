"""Laws of next sentence prediction."""

from __future__ import annotations

from pathlib import Path

from tests.kinds import build, within
from transferline.data.prepared_files import write_jsonl
from transferline.methods.objectives.next_sentence import NextSentence, NextSentenceLearner, drawn_pair, sentence_pairs
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model


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
        stage = NextSentence(tokens=150_000, masked=False, schedule={"batch_size": 32, "learning_rate": 2e-3})
        _, figures = build(stage, {"corpus": tmp_path / "corpus.jsonl"}, tmp_path / "t", tiny)
        assert figures["next_sentence_accuracy"] > 0.65  # a quarter cannot be told: another film is a film
