from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transferline.core.runtime import Runtime, exactly
from transferline.data.prepared_files import write_jsonl
from transferline.data.split import fingerprint
from transferline.evaluation.prediction_tables import read_predictions
from transferline.evaluation.run_figures import confusion_matrix, intervals, loss_curve, reliability
from transferline.inference.prediction import predict
from transferline.models.heads import load_classifier


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    from transformers import AutoTokenizer

    folder = tmp_path / "model"
    load_classifier(tiny, ["bad", "good"], "mean", 0).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny, model_max_length=16).save_pretrained(folder)
    return folder


@pytest.fixture
def test_split(tmp_path: Path) -> Path:
    texts = ["the film was lovely", "a dull and noisy script " * 9, "warm", "cold plot of the director"]
    rows = [{"id": fingerprint(t), "text": t, "label": "good" if i % 2 else "bad"} for i, t in enumerate(texts)]
    write_jsonl(tmp_path / "test.jsonl", rows)
    return tmp_path / "test.jsonl"


def test_predictions_are_kept_in_the_order_of_the_test(model: Path, test_split: Path, tmp_path: Path) -> None:
    figures = predict(model, test_split, Runtime(device="cpu").resolve(), tmp_path)
    kept = read_predictions(tmp_path)
    assert figures["rows"] == len(kept.ids) == 4
    assert kept.ids[2] == fingerprint("warm")
    assert kept.labels == ("bad", "good")
    assert kept.y_true.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(kept.probabilities.sum(axis=1), 1, atol=1e-6)


def test_a_text_is_predicted_alike_alone_and_in_a_batch(model: Path, test_split: Path, tmp_path: Path) -> None:
    """Padding must not move a prediction: a served model sees one text at a time."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    predict(model, test_split, Runtime(device="cpu").resolve(), tmp_path)
    network, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(model).eval(),
        AutoTokenizer.from_pretrained(model),
    )
    with exactly(), torch.inference_mode():
        alone = torch.softmax(network(**tokenizer("warm", return_tensors="pt")).logits, dim=1).numpy()[0]
    np.testing.assert_allclose(read_predictions(tmp_path).probabilities[2], alone, atol=1e-6)


def test_exact_products_end_with_their_block() -> None:
    import torch

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with exactly():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_figures_show_what_they_are_given(model: Path, test_split: Path, tmp_path: Path) -> None:
    predict(model, test_split, Runtime(device="cpu").resolve(), tmp_path)
    kept = read_predictions(tmp_path)
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "validation_loss": 1.5}]
    curve = loss_curve(rows, "t").axes[0]
    assert [line.get_ydata().tolist() for line in curve.lines] == [[2.0, 1.0], [1.5]]
    written = [text.get_text() for text in confusion_matrix(kept, "t").axes[0].texts]
    assert sum(map(int, written)) == 4
    assert len(reliability(kept, "t").axes[0].collections) >= 1
    assert len(intervals({"a": (0.5, 0.4, 0.6)}, "accuracy", "t").axes[0].containers) == 1
