"""TF-IDF and logistic regression: the control without any neural network, and often a hard one to beat.

Saved as JSON and safetensors, never as a pickle. Word unigrams and bigrams, sublinear counts; the strength of
regularisation is chosen on validation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from transfer.corpora.files import read_jsonl
from transfer.stage import Kind, Progress, Stage, Work

MODEL = "tfidf.json"


class Tfidf(Stage):
    """TF-IDF features and logistic regression on the target's training split."""

    kind: ClassVar[Kind] = "control"
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    random: ClassVar[bool] = False

    method: Literal["tfidf"] = "tfidf"
    strengths: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)

    def build(self, work: Work) -> dict[str, float]:
        from safetensors.numpy import save_file
        from sklearn.linear_model import LogisticRegression

        split = {name: read_jsonl(work.data[name]) for name in self.reads}
        texts = {name: [r["text"] for r in rows] for name, rows in split.items()}
        truth = {name: [r["label"] for r in rows] for name, rows in split.items()}
        vectorizer = _vectorizer()
        train = vectorizer.fit_transform(texts["train"])
        validation = vectorizer.transform(texts["validation"])
        best: tuple[float, float, Any] | None = None
        for number, strength in enumerate(sorted(self.strengths), start=1):
            model = LogisticRegression(C=strength, max_iter=5000).fit(train, truth["train"])
            score = float(model.score(validation, truth["validation"]))
            if best is None or score > best[0]:
                best = (score, strength, model)
            work.report(Progress(work.name, number, len(self.strengths), "fits", 0.0, {"validation_accuracy": score}))
        assert best is not None
        vocabulary = {word: int(index) for word, index in vectorizer.vocabulary_.items()}
        saved = {"labels": [str(label) for label in best[2].classes_], "vocabulary": vocabulary}
        (work.out / MODEL).write_text(json.dumps(saved, sort_keys=True, ensure_ascii=False), encoding="utf-8")
        arrays = {"idf": vectorizer.idf_, "weights": best[2].coef_, "bias": best[2].intercept_}
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, work.out / "tfidf.safetensors")
        return {"validation_accuracy": best[0], "score": best[0], "strength": best[1]}


def predict_tfidf(folder: Path, texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Labels and logits of shape (texts, labels) of a saved TF-IDF control."""
    from safetensors.numpy import load_file

    saved = json.loads((folder / MODEL).read_text(encoding="utf-8"))
    arrays = load_file(folder / "tfidf.safetensors")
    vectorizer = _vectorizer(saved["vocabulary"])
    vectorizer.idf_ = arrays["idf"]
    logits = vectorizer.transform(texts) @ arrays["weights"].T + arrays["bias"]
    if logits.shape[1] == 1:
        logits = np.concatenate([-logits, logits], axis=1) / 2
    return saved["labels"], logits


def _vectorizer(vocabulary: dict[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1, vocabulary=vocabulary)
