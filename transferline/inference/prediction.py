"""Predictions of one model on one test, in fp32, as a served model would make them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from transferline.core.flops import PADDING, Size, StepTexts
from transferline.core.runtime import Runtime, exactly
from transferline.core.stage import Stage, StageKind, Work
from transferline.data.prepared_files import kind_of, read_jsonl
from transferline.evaluation.prediction_tables import write_predictions
from transferline.evaluation.predictions import Predictions
from transferline.methods.controls.saved import MODEL
from transferline.methods.controls.tfidf import answer_tfidf
from transferline.models.encodings import sharing
from transferline.models.tokenization import load_tokenizer, tokenizer_settings_of
from transferline.targets import TARGETS

LATENCY_CALLS = 20
LATENCY_CALLS_GENERATING = 4  # each writes a text


class Predict(Stage):
    """A model's predictions on one test. Its key holds the model's key and the test's md5, nothing else."""

    kind: ClassVar[StageKind] = "predict"
    gpu: ClassVar[bool] = True

    method: Literal["predict"] = "predict"

    def flops(self, size: Size, tokens: StepTexts) -> float:
        # beside the test, single texts are timed
        timed = tokens["test"].longest(LATENCY_CALLS)
        return PADDING * (size.forward(tokens["test"]) + size.forward(timed))

    def build(self, work: Work) -> dict[str, float]:
        return predict(work.needs_parent(), work.data["test"], work.runtime, work.out)


def predict(model: Path, test: Path, runtime: Runtime, out: Path) -> dict[str, float]:
    """Predict a prepared test with a checkpoint's folder and write predictions.parquet to `out`.

    Returns rows, size in bytes and the median latency of a single text.
    """
    with exactly():
        made, latency = (_control if (model / MODEL).exists() else _network)(model, test, runtime)
    write_predictions(made, out)
    size = sum(path.stat().st_size for path in model.iterdir() if path.suffix in (".safetensors", ".json"))
    return {"rows": float(len(made.ids)), "model_bytes": float(size), "latency_ms": latency}


def _control(model: Path, test: Path, runtime: Runtime) -> tuple[Predictions, float]:
    records = read_jsonl(test)
    return answer_tfidf(model, records), _median_ms(lambda i: answer_tfidf(model, [records[i]]), min(3, len(records)))


def _network(model: Path, test: Path, runtime: Runtime) -> tuple[Predictions, float]:
    target = TARGETS[kind_of(test)]()
    network = target.open(model).to(runtime.device)
    tokenizer = load_tokenizer(model)
    target.admit(read_jsonl(test))
    examples = target.examples(test, tokenizer, tokenizer_settings_of(model, tokenizer))
    with sharing():
        made = target.predictions(examples, target.answer(network, examples))
    calls = LATENCY_CALLS_GENERATING if target.generates else LATENCY_CALLS
    return made, _median_ms(lambda i: target.answer(network, examples.some([i])), min(calls, len(examples)))


def _median_ms(call: Callable[[int], object], calls: int) -> float:
    times = []
    call(0)  # warm-up: the first call is slower
    for index in range(1, calls):
        start = time.perf_counter()
        call(index)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times)) if times else 0.0
