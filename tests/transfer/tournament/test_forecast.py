"""Bounds from sizes that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer.tournament.forecast import STAGE_SECONDS, Size, minutes, size_of, speed


def test_the_size_of_a_base_is_read_from_its_files(tiny: Path) -> None:
    """Two layers of width 32: four square matrices and two of the feed-forward part each, and mean pooling may add a layer."""
    size = size_of(tiny)
    layer = 4 * 32 * 32 + 2 * 32 * 64
    pooler = 32 * 32
    assert size.weights == pytest.approx(1.5 * (2 * layer + pooler))
    assert size.layers_width == pytest.approx(3 * 32)
    assert size.kind == "encoder"


def test_a_forward_pass_is_two_a_weight_and_attention_grows_with_the_text() -> None:
    size = Size(weights=100.0, layers_width=8.0, head=50.0, kind="encoder")
    assert size.forward(0) == 200.0
    assert size.forward(10) == 200.0 + 4 * 8 * 10
    assert size.forward(0, head=True) == 300.0


def test_speed_is_what_was_recorded_and_else_tried() -> None:
    lineages = {str(i): {"cost": {"flops": 1e11 * (i + 1), "seconds": 1.0}} for i in range(5)}
    assert 1e11 <= speed(lineages) <= 2e11 + 1
    assert speed({}) > 1e6
    assert minutes([6e11, 6e11], 1e11) == pytest.approx((12 + 2 * STAGE_SECONDS) / 60)
