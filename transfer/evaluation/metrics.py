"""Metrics of every kind of task, and how well probabilities can be believed.

A metric is two functions: what it needs to know of each example (`evidence`, worked out once), and the score of any
collection of examples (`score`, for thousands of resamples at once).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transfer.corpora.declared import Kind
from transfer.evaluation.predictions import Predictions

CALIBRATION_BINS = 15  # as in Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4


@dataclass(frozen=True)
class Metric:
    """evidence: predictions -> (n, ...); score: ((..., n, ...), number of labels) -> (...)."""

    evidence: Callable[[Predictions], np.ndarray]
    score: Callable[[np.ndarray, int], np.ndarray]


def accuracy(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """Share of hits over the last axis; any leading axes are kept."""
    return (truth == predicted).mean(axis=-1)


def macro_f1(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """Mean over labels of F1 = 2 TP / (truth + predicted), over the last axis; 0 where a label is in neither.

    Equal to scikit-learn's `f1_score(average="macro", labels=range(labels), zero_division=0)`, for many resamples
    at once.
    """
    scores = []
    for label in range(labels):
        is_label, says_label = truth == label, predicted == label
        hits = (is_label & says_label).sum(axis=-1)
        total = is_label.sum(axis=-1) + says_label.sum(axis=-1)
        scores.append(_f1(hits, total))
    return np.mean(scores, axis=0)


def _f1(hits: np.ndarray, total: np.ndarray) -> np.ndarray:
    """2 TP / (truth + predicted); 0 where there is neither."""
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), 0.0)


def _pairs(made: Predictions) -> np.ndarray:
    """Truth and decision of each example, (n, 2) or (n, 2, labels)."""
    return np.stack([made.truth, made.predicted], axis=1)


def _on_pairs(function: Callable[[np.ndarray, np.ndarray, int], np.ndarray]) -> Metric:
    return Metric(_pairs, lambda pairs, labels: function(pairs[..., 0], pairs[..., 1], labels))


def _mean_of(evidence: Callable[[Predictions], np.ndarray]) -> Metric:
    return Metric(evidence, lambda each, _: each[..., 0].mean(axis=-1))


def _many_f1(average: str) -> Metric:
    """F1 over cells of a label matrix: `micro` pools the cells, `macro` averages the labels' F1."""

    def score(pairs: np.ndarray, _: int) -> np.ndarray:
        truth, said = pairs[..., 0, :], pairs[..., 1, :]
        hits, total = (truth & said).sum(axis=-2), truth.sum(axis=-2) + said.sum(axis=-2)
        return _f1(hits.sum(-1), total.sum(-1)) if average == "micro" else _f1(hits, total).mean(axis=-1)

    return Metric(_pairs, score)


def pearson(truth: np.ndarray, predicted: np.ndarray, labels: int = 0) -> np.ndarray:
    """Correlation over the last axis; 0 where either side is constant."""
    x, y = truth - truth.mean(-1, keepdims=True), predicted - predicted.mean(-1, keepdims=True)
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.where(scale > 0, (x * y).sum(-1) / np.maximum(scale, 1e-300), 0.0)


def spearman(truth: np.ndarray, predicted: np.ndarray, labels: int = 0) -> np.ndarray:
    """Rank correlation over the last axis, ties at their mean rank."""
    from scipy.stats import rankdata

    return pearson(rankdata(truth, axis=-1), rankdata(predicted, axis=-1))


def r2(truth: np.ndarray, predicted: np.ndarray, labels: int = 0) -> np.ndarray:
    """Share of the variance explained, 1 - SSE / SST over the last axis; 0 where the truth is constant."""
    total = ((truth - truth.mean(-1, keepdims=True)) ** 2).sum(-1)
    return np.where(total > 0, 1 - ((truth - predicted) ** 2).sum(-1) / np.maximum(total, 1e-300), 0.0)


def span_counts(made: Predictions) -> np.ndarray:
    """(n, 3): spans found exactly, spans said, spans there. The spans are nervaluate's reading of the tags."""
    from nervaluate.loaders import ListLoader

    sides = [ListLoader().load([list(tags) for tags in side]) for side in (made.truth, made.predicted)]
    sets = [[{(e.label, e.start, e.end) for e in spans} for spans in side] for side in sides]
    return np.array([[len(t & s), len(s), len(t)] for t, s in zip(*sets, strict=True)], dtype=float).reshape(-1, 3)


def _span_f1(counts: np.ndarray, _: int) -> np.ndarray:
    hits, said, there = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return _f1(hits, said + there)


def _tag_counts(made: Predictions) -> np.ndarray:
    """(n, 2): words with the right tag, words."""
    pairs = zip(made.truth, made.predicted, strict=True)
    return np.array([[sum(a == b for a, b in zip(t, s, strict=True)), len(t)] for t, s in pairs], dtype=float)


def _token_accuracy(counts: np.ndarray, _: int) -> np.ndarray:
    right, words = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return right / np.maximum(words, 1)


def chrf_of_each(made: Predictions) -> np.ndarray:
    """(n, 1): character n-gram F of each text, 0 to 1 (Popovic 2015; torchmetrics)."""
    from torchmetrics.functional.text import chrf_score

    if "chrf" not in made.evidence:
        said, truth = [str(t) or " " for t in made.predicted], [[str(t)] for t in made.truth]
        _, each = chrf_score(said, truth, n_word_order=0, return_sentence_level_score=True)
        made.evidence["chrf"] = each.numpy().astype(float).reshape(-1, 1)
    return made.evidence["chrf"]


def _rouge_of_each(made: Predictions) -> np.ndarray:
    """(n, 1): ROUGE-L F of each text (Lin 2004; torchmetrics)."""
    from torchmetrics.functional.text import rouge_score

    pairs = zip(made.predicted, made.truth, strict=True)
    each = [float(rouge_score(str(s), str(t), rouge_keys="rougeL")["rougeL_fmeasure"]) for s, t in pairs]
    return np.array(each).reshape(-1, 1)


def _same_text(made: Predictions) -> np.ndarray:
    pairs = zip(made.predicted, made.truth, strict=True)
    return np.array([[float(s.split() == t.split())] for s, t in pairs])


METRICS: dict[Kind, dict[str, Metric]] = {
    "single-label": {"accuracy": _on_pairs(accuracy), "macro_f1": _on_pairs(macro_f1)},
    "multi-label": {
        "micro_f1": _many_f1("micro"),
        "macro_f1": _many_f1("macro"),
        "exact_match": _mean_of(lambda made: made.quality[:, None]),
    },
    "regression": {"pearson": _on_pairs(pearson), "spearman": _on_pairs(spearman), "r2": _on_pairs(r2)},
    "tokens": {"span_f1": Metric(span_counts, _span_f1), "token_accuracy": Metric(_tag_counts, _token_accuracy)},
    "generation": {
        "chrf": _mean_of(chrf_of_each),
        "rouge_l": _mean_of(_rouge_of_each),
        "exact_match": _mean_of(_same_text),
    },
}


def evidence_of(metric: str, made: Predictions) -> np.ndarray:
    """What a metric needs to know of each example; worked out once for the predictions."""
    if metric not in made.evidence:
        made.evidence[metric] = METRICS[made.kind][metric].evidence(made)
    return made.evidence[metric]


def measure(metric: str, made: Predictions) -> float:
    """The metric over all examples."""
    return float(METRICS[made.kind][metric].score(evidence_of(metric, made), len(made.labels)))


def per_class(made: Predictions) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each label or type of span; empty where a kind has no labels."""
    from sklearn.metrics import precision_recall_fscore_support

    names = ("precision", "recall", "f1", "support")
    if made.kind == "tokens":
        return {label: dict(zip(names, _spans_of(made, label), strict=True)) for label in made.labels}
    if not made.labels:
        return {}
    numbers = range(len(made.labels))
    parts = precision_recall_fscore_support(made.truth, made.predicted, labels=numbers, zero_division=0)
    return {label: {n: float(p[i]) for n, p in zip(names, parts, strict=True)} for i, label in enumerate(made.labels)}


def _spans_of(made: Predictions, label: str) -> tuple[float, float, float, float]:
    def only(rows: np.ndarray) -> np.ndarray:
        from transfer.evaluation.predictions import objects

        return objects([tuple(tag if tag[2:] == label else "O" for tag in row) for row in rows])

    one = type(made)(made.ids, (label,), only(made.truth), only(made.answers))
    hits, said, there = span_counts(one).sum(axis=0)
    return hits / max(said, 1), hits / max(there, 1), float(_f1(hits, said + there)), float(there)


def confusion(predictions: Predictions) -> np.ndarray:
    """Counts, shape (labels, labels): truth in rows, predicted in columns."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(predictions.truth, predictions.predicted, labels=range(len(predictions.labels)))


def calibration_error(made: Predictions) -> float | None:
    """Expected calibration error (Naeini et al. 2015): mean gap between confidence and accuracy over 15 bins.

    Of several labels, over all cells; None where a kind has no probabilities.
    """
    import torch
    from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

    if made.kind not in ("single-label", "multi-label"):
        return None
    answers, truth = torch.tensor(made.answers, dtype=torch.float32), torch.tensor(made.truth)
    if made.kind == "multi-label":
        return float(binary_calibration_error(answers.ravel(), truth.int().ravel(), n_bins=CALIBRATION_BINS))
    return float(multiclass_calibration_error(answers, truth, num_classes=len(made.labels), n_bins=CALIBRATION_BINS))
