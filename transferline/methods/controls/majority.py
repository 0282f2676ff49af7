"""Majority-class baseline: a constant prediction that ignores the text.

It predicts by kind of target: the most frequent label (with label frequencies as probabilities), the labels that more than half
of the examples have, the mean number, no spans, or the most frequent text.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Literal

import numpy as np

from transferline.core.stage import Stage, StageKind, Work
from transferline.data.prepared_files import kind_of, read_jsonl
from transferline.evaluation.predictions import objects
from transferline.methods.controls.saved import save_control
from transferline.targets import target_of


class Majority(Stage):
    """Predict one constant, taken from the training labels, for every example."""

    kind: ClassVar[StageKind] = "control"
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    random: ClassVar[bool] = False

    method: Literal["majority"] = "majority"

    def build(self, work: Work) -> dict[str, float]:
        kind = kind_of(work.data["train"])
        train, validation = (read_jsonl(work.data[name]) for name in self.reads)
        saved: dict[str, Any] = {"kind": kind, "constant": True, "labels": []}
        answer = np.zeros(0)
        if kind == "generation":
            saved["text"] = Counter(record["target"] for record in train).most_common(1)[0][0]
            hits = float(np.mean([record["target"] == saved["text"] for record in validation]))
        elif kind == "tokens":
            saved["labels"] = sorted({tag for record in train for tag in record["label"]})
            hits = float(np.mean([all(tag == "O" for tag in record["label"]) for record in validation]))
        else:
            target = target_of(work.data["train"])
            saved["labels"] = target.labels
            y_true, held_out = target.truth_of(train), target.truth_of(validation)
            answer = _constant(kind, y_true, len(target.labels))
            hits = _hits(kind, answer, held_out)
        save_control(work.out, saved, {"answer": answer})
        return {"score": hits}


def _constant(kind: str, y_true: np.ndarray, labels: int) -> np.ndarray:
    if kind == "regression":
        return np.array([y_true.mean()])
    if kind == "multi-label":
        return y_true.mean(axis=0)
    return np.bincount(y_true, minlength=labels) / len(y_true)


def _hits(kind: str, answer: np.ndarray, y_true: np.ndarray) -> float:
    if kind == "regression":
        return 0.0  # R2 of predicting the mean
    if kind == "multi-label":
        return float(((answer >= 0.5) == y_true).all(axis=1).mean())
    return float((y_true == answer.argmax()).mean())


def answer_constant(saved: dict[str, Any], answer: np.ndarray, records: list[dict]) -> np.ndarray:
    """Repeat the constant prediction for each record, in the form of the target's kind."""
    count = len(records)
    if saved["kind"] == "generation":
        return objects([saved["text"]] * count)
    if saved["kind"] == "tokens":
        return objects([("O",) * len(record["words"]) for record in records])
    return np.full(count, answer[0]) if saved["kind"] == "regression" else np.tile(answer, (count, 1))
