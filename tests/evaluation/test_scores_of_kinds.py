"""Metrics of every kind against the libraries that define them, and comparisons on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, r2_score

from transferline.evaluation.calibration import calibration_error
from transferline.evaluation.metrics import METRICS, measure, per_class
from transferline.evaluation.predictions import ManyLabels, Numbers, Predictions, Tags, Texts, objects
from transferline.evaluation.significance import compare, resample, score
from transferline.evaluation.text_overlap import rouge_l

KNOWN = json.loads((Path(__file__).parent / "known_scores.json").read_text(encoding="utf-8"))
RNG = np.random.default_rng(0)
IDS = tuple(f"{i:x}" for i in range(120))


def many() -> ManyLabels:
    return ManyLabels(IDS, ("a", "b", "c"), RNG.random((120, 3)) < 0.4, RNG.random((120, 3)))


def numbers(noise: float = 1.0) -> Numbers:
    y_true = np.random.default_rng(1).normal(size=120)
    return Numbers(IDS, (), y_true, y_true + noise * np.random.default_rng(2).normal(size=120))


def tags(errors: float = 0.2) -> Tags:
    rng = np.random.default_rng(3)
    y_true = [tuple(rng.choice(["O", "B-X", "B-Y"], 7)) for _ in range(120)]
    y_true = [
        tuple("I-X" if i and row[i - 1] == "B-X" and tag == "O" else tag for i, tag in enumerate(row)) for row in y_true
    ]
    said = [tuple(tag if rng.random() > errors else "O" for tag in row) for row in y_true]
    return Tags(IDS, ("X", "Y"), objects(y_true), objects(said))


def texts() -> Texts:
    rng = np.random.default_rng(5)
    words = np.array(["the", "a", "film", "plot", "was", "is", "dull", "lovely", "and", "very"])
    y_true = [" ".join(rng.choice(words, 6)) for _ in range(120)]
    said = [" ".join(word for word in text.split() if rng.random() < 0.7) for text in y_true]
    return Texts(IDS, (), objects(y_true), objects(said))


def single() -> Predictions:
    rng = np.random.default_rng(4)
    return Predictions(IDS, ("a", "b", "c", "d"), rng.integers(0, 3, 120), rng.dirichlet(np.ones(4), 120))


def test_several_labels_are_scikit_learns() -> None:
    made = many()
    for average in ("micro", "macro"):
        expected = f1_score(made.y_true, made.predicted, average=average, zero_division=0)
        assert measure(f"{average}_f1", made) == pytest.approx(expected)
    assert measure("exact_match", made) == pytest.approx((made.y_true == made.predicted).all(axis=1).mean())
    assert sum(figures["support"] for figures in per_class(made).values()) == made.y_true.sum()


def test_correlations_are_scipys() -> None:
    made = numbers()
    assert measure("pearson", made) == pytest.approx(pearsonr(made.y_true, made.outputs).statistic)
    assert measure("spearman", made) == pytest.approx(spearmanr(made.y_true, made.outputs).statistic)
    assert measure("r2", made) == pytest.approx(r2_score(made.y_true, made.outputs))
    flat = Numbers(IDS, (), made.y_true, np.zeros(120))
    assert measure("pearson", flat) == 0.0


def test_span_f1_is_seqevals() -> None:
    """Known answers of seqeval 1.2.2 in its default mode, on 60 small tests with invalid predictions among them."""
    for y_true, said, overall, each in KNOWN["spans"]:
        sides = (objects([tuple(row) for row in side]) for side in (y_true, said))
        made = Tags(tuple(str(i) for i in range(len(y_true))), ("X", "Y"), *sides)
        assert measure("span_f1", made) == pytest.approx(overall)
        assert {label: row["f1"] for label, row in per_class(made).items()} == pytest.approx(each)


def test_a_span_with_a_wrong_end_is_no_hit() -> None:
    y_true, said = objects([("B-X", "I-X", "O")]), objects([("B-X", "O", "O")])
    assert measure("span_f1", Tags(("1",), ("X",), y_true, said)) == 0.0
    assert measure("token_accuracy", Tags(("1",), ("X",), y_true, said)) == pytest.approx(2 / 3)


SCRIPTS = {
    "English": "the film was dull, and far too long",
    "Russian": "фильм был скучным и слишком длинным",
    "Greek": "η ταινία ήταν βαρετή και πολύ μεγάλη",
    "Arabic": "كان الفيلم مملا وطويلا جدا",
    "Hebrew": "הסרט היה משעמם וארוך מדי",
    "Hindi": "फ़िल्म उबाऊ और बहुत लंबी थी",
    "Chinese": "这部电影很无聊而且太长了",
    "Japanese": "この映画は退屈で長すぎた",
    "Thai": "หนังเรื่องนี้น่าเบื่อและยาวเกินไป",
    "Korean": "영화는 지루하고 너무 길었다",
    "signs": "!!! ??? ... ---",
    "emoji": "🙂 🙃 😀 😃 🙈",
}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_a_text_of_any_script_equals_itself_and_no_other(text: str) -> None:
    for other in SCRIPTS.values():
        expected = float(text == other)
        made = Texts(("1",), (), objects([text]), objects([other]))
        assert measure("exact_match", made) == expected
        for metric in ("chrf", "rouge_l"):
            assert measure(metric, made) == pytest.approx(1) if text == other else measure(metric, made) < 0.5
    half = text[: len(text) // 2]
    assert 0.2 < rouge_l([half], [text])[0] < 1, "a part of a text has a part of the score"


def test_rouge_is_that_of_the_package_rouge_score() -> None:
    """Known answers of rouge-score 0.1.2 without stemming, on texts in ASCII."""
    predicted, labels, known = zip(*KNOWN["rouge_l"], strict=True)
    assert rouge_l(predicted, labels) == pytest.approx(known)


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), min_size=1, max_size=5))
def test_chrf_and_bleu_of_a_test_are_those_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    predicted, labels = ([*side] for side in zip(*pairs, strict=True))
    made = Texts(tuple(str(i) for i in range(len(pairs))), (), objects(labels), objects(predicted))
    assert measure("chrf", made) == pytest.approx(CHRF().corpus_score(predicted, [labels]).score / 100)
    assert measure("bleu", made) == pytest.approx(BLEU().corpus_score(predicted, [labels]).score / 100)
    each = [CHRF().sentence_score(text, [label]).score / 100 for text, label in pairs]
    assert made.quality == pytest.approx(each)


def test_texts_that_are_the_truth_have_every_score_and_others_less() -> None:
    y_true = objects(["the film was dull", "a lovely plot"])
    right, wrong = Texts(("1", "2"), (), y_true, y_true), Texts(("1", "2"), (), y_true, objects(["no", ""]))
    for metric in METRICS["generation"]:
        assert measure(metric, right) == pytest.approx(1.0)
        assert measure(metric, wrong) < 0.2


@pytest.mark.parametrize(
    ("better", "worse", "metric"),
    [
        (numbers(0.3), numbers(3.0), "pearson"),
        (tags(0.05), tags(0.5), "span_f1"),
        (
            ManyLabels(IDS, ("a", "b"), np.eye(2, dtype=bool)[np.arange(120) % 2], np.eye(2)[np.arange(120) % 2]),
            ManyLabels(IDS, ("a", "b"), np.eye(2, dtype=bool)[np.arange(120) % 2], np.full((120, 2), 0.9)),
            "micro_f1",
        ),
    ],
)
def test_a_better_model_is_found_better_and_a_model_is_its_own_equal(better, worse, metric) -> None:
    found = compare(metric, "x", [better], [worse], (0, 0))
    assert found.difference.low > 0
    assert found.wins > found.losses
    same = compare(metric, "x", [better], [better], (0, 0))
    assert (same.difference.value, same.wins, same.losses) == (0, 0, 0)
    assert same.difference.low < 0 < same.difference.high
    interval = score(metric, [better])
    assert interval.low <= interval.value <= interval.high


def test_calibration_is_told_of_probabilities_only() -> None:
    sure = many().y_true
    assert calibration_error(ManyLabels(IDS, ("a", "b", "c"), sure, sure.astype(float))) == pytest.approx(0, abs=1e-6)
    assert calibration_error(numbers()) is None
    assert calibration_error(tags()) is None


def test_rows_of_a_kind_are_of_that_kind() -> None:
    keep = np.arange(120) < 10
    for made in (many(), numbers(), tags(), Predictions(IDS, ("a", "b"), np.zeros(120, int), np.full((120, 2), 0.5))):
        part = made.rows(keep)
        assert type(part) is type(made)
        assert len(part.quality) == 10


@pytest.mark.parametrize("made", [many(), numbers(), tags(), single(), texts()], ids=lambda made: made.kind)
def test_a_resample_scores_as_the_examples_that_it_drew(made) -> None:
    """The scores under weights are those of the predictions on the very rows, with their repetitions."""
    for metric in METRICS[made.kind]:
        drawn = resample(metric, [made], seed=3, resamples=20)[:, 0]
        rng = np.random.default_rng(3)
        for said, rows in zip(drawn, rng.integers(0, len(made.ids), (20, len(made.ids))), strict=True):
            again = type(made)(made.ids, made.labels, made.y_true[rows], made.outputs[rows])
            assert said == pytest.approx(measure(metric, again)), metric


def test_what_is_constant_in_a_resample_has_no_correlation() -> None:
    made = Numbers(("1", "2"), (), np.array([1.0, 2.0]), np.array([0.1, 0.7]))
    for metric in ("pearson", "spearman"):
        assert set(np.round(resample(metric, [made], resamples=50)[:, 0], 9)) == {0.0, 1.0}
    assert np.isfinite(resample("r2", [made], resamples=50)).all()
