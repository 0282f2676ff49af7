"""Features that are kept are those that are computed, and are computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.project import write_tiny_bert
from transferline.data.prepared_files import write_jsonl
from transferline.models.tokenization import TokenizerSettings, load_tokenizer
from transferline.targets import target_of
from transferline.targets.example_features import features_of
from transferline.targets.target import Target

ROWS = [
    {"id": str(i), "text": f"the film was {'lovely' if i % 2 else 'dull'} " * (1 + i % 5), "label": "ab"[i % 2]}
    for i in range(20)
]
TAGGED = [
    {
        "id": str(i),
        "text": "",
        "words": ["the", "witty", "film", *["plot"] * (i % 3)],
        "label": ["O", "B-x", "O", *["O"] * (i % 3)],
    }
    for i in range(20)
]


@pytest.mark.parametrize("kind", ["single-label", "tokens"])
def test_a_row_is_read_once_whichever_draw_asks(tiny: Path, tmp_path: Path, kind: str, monkeypatch) -> None:
    path = tmp_path / "train.jsonl"
    rows = ROWS if kind == "single-label" else TAGGED
    write_jsonl(path, rows)
    target = target_of(path)
    model = target.load(tiny, "mean", 0).eval()
    examples = target.examples(path, load_tokenizer(tiny), TokenizerSettings(32))
    plain = target.features(model, examples)
    read: list[int] = []
    features = type(target).features

    def counted(self: Target, model, examples) -> np.ndarray:
        read.append(len(examples))
        return features(self, model, examples)

    monkeypatch.setattr(type(target), "features", counted)
    first = features_of(model, target, examples.some([3, 1, 2]), tmp_path / "cache")
    np.testing.assert_allclose(first, target_rows(plain, target, examples, [3, 1, 2]), rtol=1e-4, atol=1e-5)
    whole = features_of(model, target, examples, tmp_path / "cache")
    np.testing.assert_allclose(whole, plain, rtol=1e-4, atol=1e-5)
    again = features_of(model, target, examples.some([19, 0]), tmp_path / "cache")
    np.testing.assert_allclose(again, target_rows(plain, target, examples, [19, 0]), rtol=1e-4, atol=1e-5)
    distinct = len({str(row.get("words", row["text"])) for row in rows})
    assert sum(read) == distinct
    assert read[0] <= 3
    features_of(target.load(other(tmp_path), "mean", 0).eval(), target, examples, tmp_path / "cache")
    assert sum(read) == 2 * distinct  # another encoder: other features


def target_rows(plain: np.ndarray, target: Target, examples, chosen: list[int]) -> np.ndarray:
    """The rows of chosen examples among the features of all."""
    counts = target.words_of(examples) if target.name == "tokens" else [1] * len(examples)
    parts = np.split(plain, np.cumsum(counts)[:-1])
    return np.concatenate([parts[i] for i in chosen])


def other(folder: Path) -> Path:
    """A tiny BERT of its own."""
    write_tiny_bert(folder / "other", width=48)
    return folder / "other"
