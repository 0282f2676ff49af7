"""Figures of a run, as matplotlib figures. No window is ever opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from transferline.core.markup import MOST_IN_FIGURE, in_figure, largest
from transferline.core.problem import TargetKind
from transferline.evaluation.calibration import reliability_bins
from transferline.evaluation.metrics import confusion, per_class
from transferline.evaluation.predictions import Predictions


def _axes(width: float = 5.0, height: float = 4.0) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _of_all(title: str, shown: int, labels: int) -> str:
    return title if shown == labels else f"{title}\nthe {shown} most frequent of {labels} labels"


def loss_curve(rows: Sequence[Mapping[str, float]], title: str) -> Any:
    """Training loss over steps, and the validation loss where there is one."""
    figure, axes = _axes(6.0, 3.5)
    for name, style in (("loss", "-"), ("validation_loss", "o-")):
        points = [(row["step"], row[name]) for row in rows if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=name.replace("_", " "), markersize=4)
    axes.set(xlabel="step", ylabel="loss", title=title)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    return figure


def confusion_matrix(predictions: Predictions, title: str) -> Any:
    """Counts of labels against predictions, of the most frequent labels. Cells show their counts for at most 12 labels."""
    counts = confusion(predictions)
    often = counts.sum(axis=0) + counts.sum(axis=1)
    kept = largest(range(len(often)), lambda i: float(often[i]), MOST_IN_FIGURE)
    labels = [in_figure(predictions.labels[i]) for i in kept]
    title = _of_all(title, len(labels), len(predictions.labels))
    counts = counts[np.ix_(kept, kept)]
    size = max(4.0, 0.45 * len(labels) + 2)
    figure, axes = _axes(size + 0.6, size)
    image = axes.imshow(counts, cmap="Blues")
    figure.colorbar(image, ax=axes, shrink=0.8)
    ticks = range(len(labels))
    axes.set(xticks=ticks, yticks=ticks, xlabel="predicted", ylabel="truth", title=title)
    axes.set_xticklabels(labels, rotation=45, ha="right")
    axes.set_yticklabels(labels)
    if len(labels) <= 12:
        for i, j in np.ndindex(counts.shape):
            axes.text(
                j,
                i,
                counts[i, j],
                ha="center",
                va="center",
                color="white" if 2 * counts[i, j] > counts.max() else "black",
            )
    return figure


def reliability(predictions: Predictions, title: str) -> Any:
    """Reliability diagram: accuracy over confidence, with the share of the examples as size of a point."""
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1, label="perfectly calibrated")
    found = reliability_bins(predictions)
    axes.scatter(found.confidence, found.accuracy, s=20 + 300 * found.share, color="C0", alpha=0.8)
    axes.set(xlabel="confidence", ylabel="accuracy", title=title, xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(loc="upper left")
    return figure


def agreement(predictions: Predictions, title: str) -> Any:
    """Predicted numbers over labels. Points on the diagonal agree."""
    figure, axes = _axes()
    y_true, said = predictions.y_true, predictions.predicted
    ends = [float(min(y_true.min(), said.min())), float(max(y_true.max(), said.max()))]
    axes.plot(ends, ends, "--", color="grey", linewidth=1)
    axes.scatter(y_true, said, s=6, alpha=0.4)
    axes.set(xlabel="truth", ylabel="predicted", title=title)
    return figure


def spans(predictions: Predictions, title: str) -> Any:
    """Precision, recall and F1 of each type of span, or each of several labels."""
    every = per_class(predictions)
    kept = largest(list(every), lambda label: every[label]["support"], MOST_IN_FIGURE)
    classes = {label: every[label] for label in kept}
    title = _of_all(title, len(classes), len(every))
    figure, axes = _axes(max(4.0, 0.9 * len(classes) + 2), 3.5)
    for shift, name in enumerate(("precision", "recall", "f1")):
        places = [i + 0.25 * (shift - 1) for i in range(len(classes))]
        axes.bar(places, [figures[name] for figures in classes.values()], width=0.23, label=name)
    axes.set(xticks=range(len(classes)), ylim=(0, 1), title=title)
    axes.set_xticklabels([in_figure(label) for label in classes], rotation=30, ha="right")
    axes.legend()
    return figure


FIGURES: Mapping[TargetKind, Mapping[str, Callable[[Predictions, str], Any]]] = {
    "single-label": {"confusion": confusion_matrix, "reliability": reliability},
    "multi-label": {"labels": spans},
    "regression": {"agreement": agreement},
    "tokens": {"spans": spans},
}
"""What is drawn of a model's predictions, for each kind of target."""


def intervals(rows: Mapping[str, tuple[float, float, float]], metric: str, title: str) -> Any:
    """Each model's score with its interval, one above the other."""
    figure, axes = _axes(6.0, 0.5 * len(rows) + 1.4)
    for place, (_, (value, low, high)) in enumerate(rows.items()):
        axes.errorbar(value, -place, xerr=[[value - low], [high - value]], fmt="o", capsize=4, color=f"C{place}")
    axes.set(yticks=[-i for i in range(len(rows))], xlabel=f"{metric}, 95 % interval", title=title)
    axes.set_yticklabels(list(rows))
    axes.grid(axis="x", alpha=0.3)
    return figure
