"""Probe and full fine-tuning: what each must leave alone, and what it must be able to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.project import write_reviews
from transferline.core.runtime import Runtime
from transferline.core.stage import Stage, Work
from transferline.data.declarations import Share, TargetSpec
from transferline.data.prepare import prepare
from transferline.data.prepared_files import read_jsonl
from transferline.methods.controls.scratch import Scratch
from transferline.methods.controls.tfidf import Tfidf, answer_tfidf
from transferline.methods.parameter import Full, Probe
from transferline.models.heads import load_classifier
from transferline.models.tokenization import TokenizerSettings
from transferline.models.weights import read_tensors
from transferline.targets.single import SingleLabel
from transferline.training.learner import Schedule

QUICK = Full(epochs=4, patience=4, max_tokens=16, schedule=Schedule(batch_size=16, learning_rate=3e-3))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    write_reviews(root / "reviews.csv", 300)
    prepare("t", TargetSpec(domain="d", data="reviews.csv", split=Share(test=0.3, validation=0.2)), root, root / "out")
    return {split: root / "out" / f"{split}.jsonl" for split in ("train", "validation", "test")}


def build(stage: Stage, data: dict[str, Path], tiny: Path, folder: Path, seed: int = 0) -> dict[str, float]:
    out = folder / "out"
    out.mkdir(parents=True)
    runtime = Runtime(device="cpu", precision="fp32").resolve()
    return stage.build(Work(data, seed, out, folder / "state", runtime, lambda _: None, tiny, "t"))


def test_full_fine_tuning_learns_what_is_learnable(data, tiny: Path, tmp_path: Path) -> None:
    assert build(QUICK, data, tiny, tmp_path)["validation_accuracy"] > 0.9


def test_full_fine_tuning_moves_the_encoder_but_never_the_pooling_layer(data, tiny: Path, tmp_path: Path) -> None:
    build(QUICK, data, tiny, tmp_path)
    before = load_classifier(tiny, ["bad", "good"], "mean", 0).state_dict()
    after = read_tensors(tmp_path / "out")
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert any(name.startswith("bert.encoder.layer.0") for name in moved)
    assert not any(name.startswith("bert.encoder.layer.2") for name in moved)


def test_a_probe_leaves_the_whole_encoder_as_it_was(data, tiny: Path, tmp_path: Path) -> None:
    build(Probe(max_tokens=16), data, tiny, tmp_path)
    before = load_classifier(tiny, ["bad", "good"], "mean", 0).state_dict()
    after = read_tensors(tmp_path / "out")
    assert {n for n in after if not torch.equal(before[n], after[n])} == {"classifier.weight", "classifier.bias"}


def test_the_probe_written_into_the_head_is_the_logistic_regression(data, tiny: Path, tmp_path: Path) -> None:
    """Refit by hand on the same features: the saved model must give the same probabilities."""
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    C = build(Probe(max_tokens=16), data, tiny, tmp_path)["C"]
    model = load_classifier(tiny, ["bad", "good"], "mean", 0).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    target = SingleLabel(["bad", "good"])
    train, test = (target.examples(data[s], tokenizer, TokenizerSettings(16)) for s in ("train", "test"))
    features = target.features(model, train)
    mean, scale = features.mean(axis=0), np.sqrt(features.var(axis=0).mean())
    regression = LogisticRegression(C=C, max_iter=5000).fit((features - mean) / scale, train.y_true)
    expected = regression.predict_proba((target.features(model, test) - mean) / scale)
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    got = target.answer(saved, test)
    np.testing.assert_allclose(got, expected, atol=2e-4)


def test_features_come_in_the_order_of_the_examples(data, tiny: Path) -> None:
    from transformers import AutoTokenizer

    model = load_classifier(tiny, ["bad", "good"], "mean", 0).eval()
    target = SingleLabel(["bad", "good"])
    examples = target.examples(data["test"], AutoTokenizer.from_pretrained(tiny), TokenizerSettings(16))
    together = target.features(model, examples)
    examples.lengths = list(reversed(range(len(examples.lengths))))  # another order inside, the same one outside
    np.testing.assert_allclose(target.features(model, examples), together, atol=1e-5)


def test_early_stopping_keeps_the_best_epoch(data, tiny: Path, tmp_path: Path) -> None:
    """A rate that destroys the model after a while: the best validation score is the one that is saved."""
    reports: list[float] = []
    out = tmp_path / "out"
    out.mkdir()
    wild = Full(epochs=8, patience=8, max_tokens=16, schedule=Schedule(batch_size=16, learning_rate=0.05, warmup=0.5))

    def listen(progress) -> None:
        if "validation_score" in progress.metrics:
            reports.append(progress.metrics["validation_score"])

    runtime = Runtime(device="cpu", precision="fp32").resolve()
    figures = wild.build(Work(data, 0, out, tmp_path / "state", runtime, listen, tiny, "t"))
    assert len(set(reports)) > 1
    assert figures["score"] == pytest.approx(max(reports), abs=1e-6)


def test_from_scratch_learns_without_the_base_weights(data, tiny: Path, tmp_path: Path) -> None:
    build(Scratch(tune=QUICK), data, tiny, tmp_path)
    untouched = load_classifier(tiny, ["bad", "good"], "mean", 0).state_dict()["bert.embeddings.word_embeddings.weight"]
    assert not torch.allclose(
        read_tensors(tmp_path / "out")["bert.embeddings.word_embeddings.weight"], untouched, atol=0.05
    )


def test_tfidf_is_saved_without_pickle_and_predicts_as_when_it_was_fitted(data, tiny: Path, tmp_path: Path) -> None:
    figures = build(Tfidf(), data, tiny, tmp_path)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".safetensors"}
    records = read_jsonl(data["validation"])
    made = answer_tfidf(tmp_path / "out", records)
    assert made.quality.mean() == pytest.approx(figures["validation_accuracy"])
    assert figures["validation_accuracy"] > 0.95
