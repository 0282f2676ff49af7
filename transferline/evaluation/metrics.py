"""Metrics of every kind of task.

A metric is two functions. `evidence` extracts its terms for each example, once. `score` computes the metric from them under
weights. One row of weights is one resample: how often it drew each example. Nearly all scores are made of sums over examples, so
thousands of resamples are one product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from transferline.core.problem import TargetKind
from transferline.evaluation.predictions import Predictions, objects
from transferline.evaluation.text_overlap import bleu, bleu_counts, chrf, chrf_counts, rouge_l

_ROUNDING = 1e-12  # a variance below this share of the mean square is none


@dataclass(frozen=True)
class Metric:
    """evidence: predictions -> (n, k). score: (evidence, weights (r, n)) -> (r,). The weights of a row add up to n."""

    evidence: Callable[[Predictions], np.ndarray]
    score: Callable[[np.ndarray, np.ndarray], np.ndarray]
    mean: bool = False
    """whether the score is the mean of one number between 0 and 1 for each example"""


def _of_sums(evidence: Callable[[Predictions], np.ndarray], score: Callable[[np.ndarray, int], np.ndarray]) -> Metric:
    """A metric of sums over examples. `score` has the form (sums (r, k), n) -> (r,)."""

    def weighted(each: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return score((weights.astype(each.dtype) @ each).astype(float), len(each))

    return Metric(evidence, weighted)


def _mean_of(evidence: Callable[[Predictions], np.ndarray]) -> Metric:
    return replace(_of_sums(evidence, lambda sums, rows: sums[:, 0] / rows), mean=True)


def _ratio_of(evidence: Callable[[Predictions], np.ndarray]) -> Metric:
    """The first sum over the second."""
    return _of_sums(evidence, lambda sums, _: sums[:, 0] / np.maximum(sums[:, 1], 1))


def _f1(hits: np.ndarray, total: np.ndarray) -> np.ndarray:
    """2 TP / (labels + predicted), or 0 where the denominator is 0."""
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), 0.0)


def _quality(made: Predictions) -> np.ndarray:
    """(n, 1): 1 where the answer is right as a whole."""
    return made.quality[:, None]


def _cells(made: Predictions) -> np.ndarray:
    """(n, 2 x labels): for each label whether it was predicted rightly, and its count in label and prediction."""
    y_true, said = (_one_hot(side, len(made.labels)) for side in (made.y_true, made.predicted))
    return np.concatenate([y_true & said, y_true.astype(np.int8) + said], axis=1).astype(np.float32)  # counts: exact


def _one_hot(labels: np.ndarray, count: int) -> np.ndarray:
    """(n, labels) of bools. A label matrix is returned unchanged."""
    return labels if labels.ndim == 2 else labels[:, None] == np.arange(count)


def _many_f1(average: str) -> Metric:
    """F1 over the cells of a label matrix: `micro` pools the labels, `macro` averages their F1. An absent label counts 0.

    As scikit-learn's `f1_score(labels=range(labels), zero_division=0)`.
    """

    def score(sums: np.ndarray, _: int) -> np.ndarray:
        hits, total = np.split(sums, 2, axis=1)
        return _f1(hits.sum(axis=1), total.sum(axis=1)) if average == "micro" else _f1(hits, total).mean(axis=1)

    return _of_sums(_cells, score)


def pearson(y_true: np.ndarray, predicted: np.ndarray) -> float:
    """Correlation of two series (n,), or 0 if either is constant."""
    return float(_correlation(_moments(y_true, predicted).sum(axis=0, keepdims=True), len(y_true))[0])


def _moments(y_true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(n, 5): x, y, xx, yy, xy, both about their means lest the squares swallow the differences."""
    x, y = y_true - y_true.mean(), predicted - predicted.mean()
    return np.stack([x, y, x * x, y * y, x * y], axis=1)


def _correlation(sums: np.ndarray, rows: int) -> np.ndarray:
    """Pearson's correlation from the sums of `_moments`, or 0 if either side is constant."""
    x, y, xx, yy, xy = np.moveaxis(sums / rows, -1, 0)
    across, up = xx - x * x, yy - y * y
    varies = (across > _ROUNDING * xx) & (up > _ROUNDING * yy)
    return np.where(varies, (xy - x * y) / np.sqrt(np.where(varies, across * up, 1.0)), 0.0)


def _numbers(made: Predictions) -> np.ndarray:
    """(n, 2): labels and predictions."""
    return np.stack([made.y_true, made.outputs], axis=1)


def _rank_correlation(pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's: Pearson's of the ranks within each resample, ties at their mean rank."""
    x, y = (_ranks(side, weights) for side in pairs.T)
    columns = (x, y, x * x, y * y, x * y)
    sums = np.stack([(weights * column).sum(axis=1) for column in columns], axis=1)
    return _correlation(sums, len(pairs))


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean rank of each example within each resample, centred, (r, n)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    alike = np.add.reduceat(weights[:, order].astype(float), starts, axis=1)
    ranks = np.cumsum(alike, axis=1) - (alike - 1) / 2
    group = np.empty(len(values), dtype=int)
    group[order] = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])
    return ranks[:, group] - (len(values) + 1) / 2


def _errors(made: Predictions) -> np.ndarray:
    """(n, 3): centred label, its square, and the squared error."""
    about = made.y_true - made.y_true.mean()
    return np.stack([about, about * about, (made.y_true - made.outputs) ** 2], axis=1)


def _explained(sums: np.ndarray, rows: int) -> np.ndarray:
    """Share of the variance explained, 1 - SSE / SST, or 0 if the labels are constant."""
    about, square, error = np.moveaxis(sums / rows, -1, 0)
    total = square - about * about
    varies = total > _ROUNDING * square
    return np.where(varies, 1 - error / np.where(varies, total, 1.0), 0.0)


def span_counts(made: Predictions) -> np.ndarray:
    """(n, 3): exact matches, predicted spans, labelled spans. nervaluate extracts the spans from the tags."""
    from nervaluate.loaders import ListLoader

    sides = [ListLoader().load([list(tags) for tags in side]) for side in (made.y_true, made.predicted)]
    sets = [[{(e.label, e.start, e.end) for e in spans} for spans in side] for side in sides]
    return np.array([[len(t & s), len(s), len(t)] for t, s in zip(*sets, strict=True)], dtype=float).reshape(-1, 3)


def _span_f1(sums: np.ndarray, _: int) -> np.ndarray:
    return _f1(sums[:, 0], sums[:, 1] + sums[:, 2])


def _tag_counts(made: Predictions) -> np.ndarray:
    """(n, 2): words with the right tag, words."""
    pairs = zip(made.y_true, made.predicted, strict=True)
    return np.array([[sum(a == b for a, b in zip(t, s, strict=True)), len(t)] for t, s in pairs], dtype=float)


def _rouge_of_each(made: Predictions) -> np.ndarray:
    """(n, 1): ROUGE-L F of each text."""
    return rouge_l(made.predicted, made.y_true)[:, None]


def _same_text(made: Predictions) -> np.ndarray:
    pairs = zip(made.predicted, made.y_true, strict=True)
    return np.array([[float(s.split() == t.split())] for s, t in pairs])


METRICS: dict[TargetKind, dict[str, Metric]] = {
    "single-label": {"accuracy": _mean_of(_quality), "macro_f1": _many_f1("macro")},
    "multi-label": {
        "micro_f1": _many_f1("micro"),
        "macro_f1": _many_f1("macro"),
        "exact_match": _mean_of(_quality),
    },
    "regression": {
        "pearson": _of_sums(lambda made: _moments(made.y_true, made.outputs), _correlation),
        "spearman": Metric(_numbers, _rank_correlation),
        "r2": _of_sums(_errors, _explained),
    },
    "tokens": {"span_f1": _of_sums(span_counts, _span_f1), "token_accuracy": _ratio_of(_tag_counts)},
    "generation": {
        "chrf": _of_sums(lambda made: chrf_counts(made.predicted, made.y_true), lambda sums, _: chrf(sums)),
        "bleu": _of_sums(lambda made: bleu_counts(made.predicted, made.y_true), lambda sums, _: bleu(sums)),
        "rouge_l": _mean_of(_rouge_of_each),
        "exact_match": _mean_of(_same_text),
    },
}


def evidence_of(metric: str, made: Predictions) -> np.ndarray:
    """The terms of a metric for each example, cached with the predictions."""
    if metric not in made.evidence:
        made.evidence[metric] = METRICS[made.kind][metric].evidence(made)
    return made.evidence[metric]


def measure(metric: str, made: Predictions) -> float:
    """The metric over all examples."""
    everything = np.ones((1, len(made.ids)))
    return float(METRICS[made.kind][metric].score(evidence_of(metric, made), everything)[0])


def per_class(made: Predictions) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each label or type of span. Empty for kinds without labels."""
    from sklearn.metrics import precision_recall_fscore_support

    names = ("precision", "recall", "f1", "support")
    if made.kind == "tokens":
        return {label: dict(zip(names, _spans_of(made, label), strict=True)) for label in made.labels}
    if not made.labels:
        return {}
    numbers = range(len(made.labels))
    parts = precision_recall_fscore_support(made.y_true, made.predicted, labels=numbers, zero_division=0)
    return {label: {n: float(p[i]) for n, p in zip(names, parts, strict=True)} for i, label in enumerate(made.labels)}


def _spans_of(made: Predictions, label: str) -> tuple[float, float, float, float]:
    def only(rows: np.ndarray) -> np.ndarray:
        return objects([tuple(tag if tag[2:] == label else "O" for tag in row) for row in rows])

    one = type(made)(made.ids, (label,), only(made.y_true), only(made.outputs))
    hits, said, there = span_counts(one).sum(axis=0)
    return hits / max(said, 1), hits / max(there, 1), float(_f1(hits, said + there)), float(there)


def confusion(predictions: Predictions) -> np.ndarray:
    """Counts, shape (labels, labels): labels in rows, predictions in columns."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(predictions.y_true, predictions.predicted, labels=range(len(predictions.labels)))
