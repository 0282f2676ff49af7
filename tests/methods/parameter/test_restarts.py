"""Laws of restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kinds import build
from tests.methods.parameter.laws import method


def test_restarts_keep_the_best_of_several(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("full", epochs=1, patience=1)
    apart = [build(stage, kinds["single-label"], tmp_path / f"s{s}", tiny, seed=s)[1]["score"] for s in (0, 10_000)]
    both = method("full", epochs=1, patience=1, restarts=2)
    _, figures = build(both, kinds["single-label"], tmp_path / "both", tiny)
    assert figures["score"] == pytest.approx(max(apart))
