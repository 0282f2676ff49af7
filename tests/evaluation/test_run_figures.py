"""Figures of a run: any label can be drawn, and many labels stay readable and quick."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest

from tests.core.test_markup import HOSTILE
from transferline.core.markup import MOST_IN_FIGURE
from transferline.evaluation.predictions import Predictions
from transferline.evaluation.run_figures import FIGURES


def predictions(labels: list[str], rows: int = 400) -> Predictions:
    rng = np.random.default_rng(0)
    # label i stands i + 1 times as often as label 0
    weights = np.arange(1, len(labels) + 1) / sum(range(len(labels) + 1))
    y_true = rng.choice(len(labels), rows, p=weights)
    outputs = rng.dirichlet(np.ones(len(labels)), rows)
    return Predictions(tuple(f"{i:016x}" for i in range(rows)), tuple(labels), y_true, outputs)


def drawn(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about glyphs that the font lacks
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


@pytest.mark.parametrize("name", FIGURES["single-label"])
def test_hostile_labels_are_drawn(name: str) -> None:
    figure = FIGURES["single-label"][name](predictions([f"{text} {i}" for i, text in enumerate(HOSTILE)]), "film")
    assert drawn(figure).startswith(b"\x89PNG")


def test_of_300_labels_the_most_frequent_are_shown() -> None:
    figure = FIGURES["single-label"]["confusion"](predictions([f"label-{i}" for i in range(300)], 60_000), "film")
    (axes, *_) = figure.axes
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(shown) == MOST_IN_FIGURE
    assert np.mean([int(name.removeprefix("label-")) for name in shown]) > 250
    assert axes.get_title() == "film\nthe 40 most frequent of 300 labels"
