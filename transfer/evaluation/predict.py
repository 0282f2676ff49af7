"""Predictions of one model on one test: kept for ever, so that every later comparison is cheap.

predictions.parquet holds a row an example: id, label (the truth), predicted, and a probability for each label.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from transfer.controls.tfidf import MODEL, predict_tfidf
from transfer.corpora.files import read_jsonl
from transfer.runtime import Runtime, exactly
from transfer.stage import Kind, Stage, Work

FILE = "predictions.parquet"
LATENCY_CALLS = 20


class Predict(Stage):
    """A model's predictions on one test. Its key holds the model's key and the test's md5, nothing else."""

    kind: ClassVar[Kind] = "predict"
    gpu: ClassVar[bool] = True

    method: Literal["predict"] = "predict"

    def build(self, work: Work) -> dict[str, float]:
        return predict(work.needs_parent(), work.data["test"], work.runtime, work.out)


@dataclass(frozen=True)
class Predictions:
    """What one model says of n test examples: truth and predicted as label indices (n,), probabilities (n, labels)."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    truth: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        return self.probabilities.argmax(axis=1)

    def rows(self, keep: np.ndarray) -> Predictions:
        """The same predictions on some of the examples (a boolean mask)."""
        ids = tuple(np.array(self.ids)[keep])
        return Predictions(ids, self.labels, self.truth[keep], self.probabilities[keep])


def predict(model: Path, test: Path, runtime: Runtime, out: Path) -> dict[str, float]:
    """Predict a prepared test with a checkpoint's folder; writes predictions.parquet to `out`.

    Always in fp32, as a served model would. Returns rows, size in bytes and the median latency of a single text.
    """
    import pandas as pd

    records = read_jsonl(test)
    texts = [record["text"] for record in records]
    with exactly():
        labels, logits, latency = (_tfidf if (model / MODEL).exists() else _transformer)(model, test, texts, runtime)
    probabilities = softmax(logits)
    table = pd.DataFrame({"id": [r["id"] for r in records], "label": [r["label"] for r in records]})
    table["predicted"] = [labels[i] for i in probabilities.argmax(axis=1)]
    for index, label in enumerate(labels):
        table[f"p:{label}"] = probabilities[:, index].astype(np.float32)
    table.to_parquet(out / FILE, index=False)
    size = sum(path.stat().st_size for path in model.iterdir() if path.suffix in (".safetensors", ".json"))
    return {"rows": float(len(records)), "model_bytes": float(size), "latency_ms": latency}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, shape (n, labels)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def read_predictions(folder: Path) -> Predictions:
    """The predictions that `predict` left in a folder."""
    import pandas as pd

    table = pd.read_parquet(folder / FILE)
    columns = [column for column in table.columns if column.startswith("p:")]
    labels = tuple(column[2:] for column in columns)
    index = {label: i for i, label in enumerate(labels)}
    truth = np.array([index[label] for label in table["label"]])
    return Predictions(tuple(table["id"]), labels, truth, table[columns].to_numpy(dtype=np.float64))


def _tfidf(model: Path, test: Path, texts: list[str], runtime: Runtime) -> tuple[list[str], np.ndarray, float]:
    labels, logits = predict_tfidf(model, texts)
    return labels, logits, _median_ms(lambda text: predict_tfidf(model, [text]), texts[:3])


def _transformer(model: Path, test: Path, texts: list[str], runtime: Runtime) -> tuple[list[str], np.ndarray, float]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from transfer.parameter.classification import Labelled, predict_logits

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, use_safetensors=True, trust_remote_code=False)
    network.eval().to(runtime.device)
    labels = [network.config.id2label[i] for i in range(network.num_labels)]
    examples = Labelled(test, tokenizer, labels, tokenizer.model_max_length)
    numbers = iter(range(len(texts)))

    def one(_: str) -> None:
        import torch

        with torch.inference_mode():
            network(**{k: v.to(network.device) for k, v in examples.batch([next(numbers)]).items()})

    return labels, predict_logits(network, examples), _median_ms(one, texts[:LATENCY_CALLS])


def _median_ms(call: Callable[[str], object], texts: list[str]) -> float:
    times = []
    call(texts[0])  # the first call pays for what the others find warm
    for text in texts[1:]:
        start = time.perf_counter()
        call(text)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))
