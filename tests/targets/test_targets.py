"""Each kind of target: data to predictions, its metrics, and what must survive on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.kinds import CPU, QUICK, SPECS, build, score
from transferline.core.problem import IGNORED_LABEL
from transferline.data.prepared_files import kind_of, read_jsonl
from transferline.evaluation.metrics import METRICS
from transferline.evaluation.prediction_tables import read_predictions
from transferline.inference.prediction import predict
from transferline.methods.controls.tfidf import Tfidf
from transferline.models.tokenization import TokenizerSettings, load_tokenizer
from transferline.recipes.registry import TUNING
from transferline.targets import TARGETS, kind_of_model, target_of
from transferline.targets.tokens import TaggedExamples, Tokens, first_pieces

METRIC = {
    "single-label": "accuracy",
    "pairs": "accuracy",
    "multi-label": "micro_f1",
    "regression": "pearson",
    "tokens": "span_f1",
}


@pytest.mark.parametrize("kind", METRIC)
def test_what_can_be_learnt_is_learnt_and_the_model_says_what_it_is_for(kind, kinds, tiny: Path, tmp_path) -> None:
    full = TUNING["full"].model_validate({**QUICK, "epochs": 14, "patience": 14})
    model, figures = build(full, kinds[kind], tmp_path / "tuned", tiny)
    assert score(model, kinds[kind]["test"], METRIC[kind], tmp_path / "said") > 0.75
    assert kind_of_model(model) == kind_of(kinds[kind]["test"])
    assert np.isfinite(figures["score"])


@pytest.mark.parametrize("kind", SPECS)
def test_a_control_without_transfer_answers_every_kind(kind, kinds, tiny: Path, tmp_path: Path) -> None:
    control, _ = build(Tfidf(), kinds[kind], tmp_path / "control", tiny)
    metric = METRIC.get(kind, "exact_match")
    found = score(control, kinds[kind]["test"], metric, tmp_path / "said")
    assert found > 0.7 if kind == "regression" else 0.8


@pytest.mark.parametrize("kind", SPECS)
def test_predictions_come_back_from_their_file_as_they_went_in(kind, kinds, tiny: Path, tmp_path: Path) -> None:
    control, _ = build(Tfidf(), kinds[kind], tmp_path / "control", tiny)
    predict(control, kinds[kind]["test"], CPU, tmp_path)
    made = read_predictions(tmp_path)
    records = read_jsonl(kinds[kind]["test"])
    assert made.kind == kind_of(kinds[kind]["test"])
    assert made.ids == tuple(record["id"] for record in records)
    assert len(made.quality) == len(records)
    for metric in METRICS[made.kind].values():
        evidence = metric.evidence(made)
        everything = np.ones((1, len(records)))
        twice = np.concatenate([evidence, evidence])
        expected = metric.score(evidence, everything)
        assert metric.score(twice, np.ones((1, len(twice)))) == pytest.approx(
            expected
        )  # proportions, whatever the size


class TestTokens:
    WORDS = ("the", "film", "was", "lovely")

    def examples(self, folder: Path, records: list[dict], most: int) -> tuple[Tokens, TaggedExamples]:
        target = Tokens(["O", "B-X", "I-X"])
        tokenizer = load_tokenizer(folder)
        inputs = target.encode(records, tokenizer, TokenizerSettings(most))
        return target, TaggedExamples(records, inputs, tokenizer, target.truth_of(records))

    def test_the_first_piece_of_each_word_is_found(self) -> None:
        assert first_pieces([None, 0, 0, 1, 2, 2, 2, None], 3) == [1, 3, 4]
        assert first_pieces([None, 0, 1, None], 4) == [1, 2, -1, -1]  # cut off

    def test_labels_survive_being_split_into_pieces(self, pieces: Path) -> None:
        records = [{"id": "1", "text": "", "words": ["unbelievable", "film"], "label": ["B-X", "O"]}]
        target, examples = self.examples(pieces, records, 32)
        labels = target.labelled(examples, [0])["labels"][0].tolist()
        assert [label for label in labels if label != IGNORED_LABEL] == [1, 0]
        assert labels.index(1) == 1
        assert len(examples.inputs["input_ids"][0]) > 4  # [CLS], two words in more than two pieces, [SEP]

    def test_words_that_are_cut_off_are_answered_and_not_learnt(self, pieces: Path) -> None:
        words = ["film"] * 30
        records = [{"id": "1", "text": "", "words": words, "label": ["B-X"] * 30}]
        target, examples = self.examples(pieces, records, 12)
        labels = target.labelled(examples, [0])["labels"][0].tolist()
        assert sum(label != IGNORED_LABEL for label in labels) == 10
        model = target.load(pieces, "first", 0).eval()
        said = target.answer(model, examples)[0]
        assert len(said) == 30
        assert set(said[10:]) == {"O"}

    def test_a_text_is_tagged_alike_alone_and_in_a_batch(self, pieces: Path) -> None:
        records = [
            {"id": str(i), "text": "", "words": list(self.WORDS[: i + 1]), "label": ["O"] * (i + 1)} for i in range(4)
        ]
        target, examples = self.examples(pieces, records, 32)
        model = target.load(pieces, "first", 0).eval()
        together = target.answer(model, examples)
        alone = [target.answer(model, examples.some([i]))[0] for i in range(4)]
        assert together.tolist() == alone


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT whose vocabulary cuts some words into pieces."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("pieces")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "un",
        "##believ",
        "##able",
        "the",
        "film",
        "was",
        "love",
        "##ly",
    ]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=64, **size)).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


class TestRegression:
    def test_the_served_model_answers_in_the_labels_units(self, kinds, tiny: Path, tmp_path: Path) -> None:
        """Labels lie near 70 with a spread of ten: what is saved must say such numbers, without our rescaling."""
        import torch

        full = TUNING["full"].model_validate({**QUICK, "epochs": 14, "patience": 14})
        model, figures = build(full, kinds["regression"], tmp_path / "tuned", tiny)
        target = TARGETS["regression"]()
        network, tokenizer = target.open(model), load_tokenizer(model)
        records = read_jsonl(kinds["regression"]["test"])
        with torch.inference_mode():
            said = [float(network(**tokenizer(r["text"], return_tensors="pt")).logits[0, 0]) for r in records[:20]]
        y_true = np.array([record["label"] for record in records[:20]])
        assert np.abs(np.array(said) - y_true).mean() < 0.6 * y_true.std()
        assert figures["validation_rmse"] < 0.6 * y_true.std()

    def test_settling_changes_no_answer(self, kinds, tiny: Path) -> None:
        target = target_of(kinds["regression"]["train"])
        model = target.load(tiny, "mean", 0).eval()
        examples = target.examples(kinds["regression"]["test"], load_tokenizer(tiny), TokenizerSettings(24))
        before = target.answer(model, examples)
        target.settle(model)
        np.testing.assert_allclose(target.answer(model, examples), before, rtol=1e-4)


def test_generation_stops_at_the_end_and_answers_alike_alone_and_in_a_batch(
    kinds, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    for family in ("llama", "t5"):
        full = TUNING["full"].model_validate({**QUICK, "epochs": 8, "patience": 8, "pooling": "first"})
        model, _ = build(full, kinds["generation"], tmp_path / family, bases(family))
        target = TARGETS["generation"]()
        network, tokenizer = target.open(model), load_tokenizer(model)
        examples = target.examples(kinds["generation"]["test"], tokenizer, TokenizerSettings(24, "head", 6))
        together = target.answer(network, examples)
        alone = [target.answer(network, examples.some([i]))[0] for i in range(6)]
        assert together[:6].tolist() == alone
        assert all(len(text.split()) <= 6 for text in together)
