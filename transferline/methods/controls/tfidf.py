"""TF-IDF control: a linear model on TF-IDF features. Often a strong baseline.

Features are word unigrams and bigrams with sublinear counts, or characters up to trigrams for scripts without spaces. Validation
chooses the regularisation strength. Other kinds of targets get their usual baseline: tagging uses a window around each word
(word_windows.py), generation the nearest training text (nearest_answer.py), and feature matrices go to the linear model directly.
Saved as JSON and safetensors, never as a pickle.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import regex

from transferline.core.problem import TargetKind
from transferline.core.scripts import UNSPACED
from transferline.core.stage import Progress, Stage, StageKind, Work
from transferline.data.feature_matrix import sparse
from transferline.data.prepared_files import features_of, kind_of, read_jsonl
from transferline.evaluation.predictions import PREDICTIONS, Predictions, objects
from transferline.methods.controls.majority import answer_constant
from transferline.methods.controls.nearest_answer import answer_nearest, fit_nearest
from transferline.methods.controls.saved import load_control, save_control
from transferline.methods.controls.word_windows import fit_windows, tag_windows
from transferline.methods.parameter.linear import coefficients, fit_linear, score_linear
from transferline.targets import TARGETS, target_of
from transferline.targets.sequence import SequenceTarget

_UNSPACED = regex.compile(UNSPACED)


class Tfidf(Stage):
    """Fit a linear model on TF-IDF features of the target's training split."""

    kind: ClassVar[StageKind] = "control"
    version: ClassVar[int] = 3  # texts without words are read by characters
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    random: ClassVar[bool] = False

    method: Literal["tfidf"] = "tfidf"
    Cs: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)

    def build(self, work: Work) -> dict[str, float]:
        rows = {name: read_jsonl(work.data[name]) for name in self.reads}
        kind = kind_of(work.data["train"])
        if kind == "generation":
            return fit_nearest(rows["train"], work.out)
        if kind == "tokens":
            return fit_windows(rows["train"], rows["validation"], self.Cs, work)
        return self._fit(kind, rows, work)

    def _fit(self, kind: TargetKind, rows: dict[str, list[dict]], work: Work) -> dict[str, float]:
        target = target_of(work.data["train"])
        y_true = {name: target.truth_of(some) for name, some in rows.items()}
        vectorizer = _fitted(rows["train"])
        features = {name: _features(vectorizer, some) for name, some in rows.items()}
        best: tuple[float, float, Any] | None = None
        for number, C in enumerate(sorted(self.Cs), start=1):
            model = fit_linear(kind, C, features["train"], y_true["train"])
            score = score_linear(kind, model, features["validation"], y_true["validation"])
            if best is None or score > best[0]:
                best = (score, C, model)
            work.report(Progress(work.name, number, len(self.Cs), "fits", 0.0, {"validation_accuracy": score}))
        assert best is not None
        weights, bias = coefficients(best[2], len(target.labels))
        saved: dict[str, Any] = {"kind": kind, "labels": target.labels}
        arrays = {"weights": weights, "bias": bias}
        if isinstance(vectorizer, Columns):
            arrays["units"] = vectorizer.units
        else:
            saved["vocabulary"] = {word: int(index) for word, index in vectorizer.vocabulary_.items()}
            saved["analyzer"] = vectorizer.analyzer
            arrays["idf"] = vectorizer.idf_
        save_control(work.out, saved, arrays)
        return {"validation_accuracy": best[0], "score": best[0], "C": best[1]}


def answer_tfidf(folder: Path, records: Sequence[dict]) -> Predictions:
    """Predictions of a saved control for records, with the records' labels."""
    saved, arrays = load_control(folder)
    kind: TargetKind = saved["kind"]
    ids = tuple(record["id"] for record in records)
    if kind in ("tokens", "generation"):
        field = "label" if kind == "tokens" else "target"
        y_true = objects([tuple(r[field]) if kind == "tokens" else r[field] for r in records])
        said = _answers(saved, arrays, records)
        types = sorted({label[2:] for label in saved.get("labels", []) if label != "O"})
        return PREDICTIONS[kind](ids, tuple(types), y_true, objects(said))
    target = TARGETS[kind](saved["labels"])
    assert isinstance(target, SequenceTarget)
    target.admit(records)
    y_true = target.truth_of(records)
    if saved.get("constant"):
        return target.made(records, y_true, answer_constant(saved, arrays["answer"], list(records)))
    if "units" in arrays:
        vectorizer: Any = Columns(arrays["units"])
    else:
        vectorizer = _vectorizer(saved.get("analyzer", "word"), saved["vocabulary"])
        vectorizer.idf_ = arrays["idf"]
    logits = _features(vectorizer, records) @ arrays["weights"].T + arrays["bias"]
    return target.made(records, y_true, target.from_logits(logits))


def _answers(saved: dict[str, Any], arrays: dict[str, Any], records: Sequence[dict]) -> Sequence[Any]:
    """Predicted tags (tagging) or texts (generation) of each record."""
    if saved.get("constant"):
        return list(answer_constant(saved, arrays["answer"], list(records)))
    return tag_windows(saved, arrays, records) if saved["kind"] == "tokens" else answer_nearest(saved, records)


def _texts_of(record: dict) -> list[str]:
    return [record["text"], record["pair"]] if "pair" in record else [record["text"]]


def _features(vectorizer: Any, records: Sequence[dict]) -> Any:
    """TF-IDF of texts. For pairs: both sides, their absolute difference, their product, and their cosine."""
    from scipy.sparse import csr_matrix, hstack

    one = vectorizer.transform([record["text"] for record in records])
    if not records or "pair" not in records[0]:
        return one
    two = vectorizer.transform([record["pair"] for record in records])
    shared = one.multiply(two)
    cosine = csr_matrix(shared.sum(axis=1))
    return hstack([one, two, abs(one - two), shared, cosine]).tocsr()


def _fitted(records: Sequence[dict]) -> Any:
    """A vectorizer fitted on records: `Columns` for feature matrices, TF-IDF for texts."""
    width = features_of(records[0])
    if width is not None:
        return Columns.of(records, width)
    texts = [text for record in records for text in _texts_of(record)]
    return _vectorizer(_analyzer(texts)).fit(texts)


def _analyzer(texts: Sequence[str]) -> str:
    """What a term is: a word, or a character where the texts have hardly any words (scripts without spaces, emoji)."""
    words = _vectorizer("word").build_analyzer()
    unspaced = sum(len(_UNSPACED.findall(text)) for text in texts)
    kinds = Counter(unicodedata.category(character) for text in texts for character in text)
    letters = sum(count for kind, count in kinds.items() if kind[0] == "L")
    symbols = kinds["So"] > letters  # emoji, perhaps with numbers between them
    return "char" if symbols or 2 * unspaced > letters or not any(words(text) for text in texts) else "word"


class Columns:
    """Scale each column of a feature matrix by its largest absolute value in training."""

    def __init__(self, units: np.ndarray) -> None:
        self.units = units

    @classmethod
    def of(cls, records: Sequence[dict], width: int) -> Columns:
        largest = abs(sparse([record["text"] for record in records], width)).max(axis=0).toarray()[0]
        return cls(np.where(largest > 0, largest, 1.0).astype(np.float64))

    def transform(self, texts: Sequence[str]) -> Any:
        """Scaled columns as a sparse matrix (texts, width)."""
        from scipy.sparse import diags

        return (sparse(texts, len(self.units)) @ diags(1 / self.units)).tocsr()


def _vectorizer(analyzer: str, vocabulary: dict[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    most = {"word": 2, "char": 3}[analyzer]
    return TfidfVectorizer(analyzer=analyzer, ngram_range=(1, most), sublinear_tf=True, min_df=1, vocabulary=vocabulary)
