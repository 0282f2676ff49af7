"""Laws of embedded texts that are kept: the same points, computed once, at the cost of computing them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kinds import CPU
from tests.project import GOOD
from transferline.core.cost import metered
from transferline.models import embeddings
from transferline.models.embeddings import embed
from transferline.models.tokenization import TokenizerSettings

TEXTS = [" ".join(GOOD[: n % 9 + 1]) for n in range(30)]
READING = TokenizerSettings(16)


def test_kept_points_are_the_computed_ones(tiny: Path, tmp_path: Path) -> None:
    plain = embed(tiny, TEXTS, READING, CPU)
    for _ in range(2):
        assert np.allclose(embed(tiny, TEXTS, READING, CPU, tmp_path), plain, atol=1e-6)
    mixed = embed(tiny, ["the film", *TEXTS[::-1], "the plot"], READING, CPU, tmp_path)
    assert np.allclose(mixed[1:-1], plain[::-1], atol=1e-6)
    assert np.allclose(mixed[[0, -1]], embed(tiny, ["the film", "the plot"], READING, CPU), atol=1e-6)


def test_a_text_is_embedded_once_and_costs_what_it_takes_alone(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    asked: list[int] = []
    compute = embeddings._compute
    monkeypatch.setattr(embeddings, "_compute", lambda f, t, r, c: asked.append(len(t)) or compute(f, t, r, c))
    spent = []
    for _ in range(2):
        with metered() as meter:
            embed(tiny, TEXTS, READING, CPU, tmp_path)
        spent.append(meter.flops)
    assert asked == [len(set(TEXTS))]
    assert spent[1] == pytest.approx(spent[0], rel=0.01)
    embed(tiny, TEXTS, TokenizerSettings(4), CPU, tmp_path)  # another reading, other points
    assert len(asked) == 2
