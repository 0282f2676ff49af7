"""Laws of discriminative rates and the slanted triangle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kinds import QUICK, build
from tests.methods.parameter.laws import method, setting
from transferline.models.weights import read_tensors


def test_a_decay_of_one_is_a_single_rate(kinds, tiny: Path, tmp_path: Path) -> None:
    plain, _ = build(method("full"), kinds["single-label"], tmp_path / "a", tiny)
    same = method("discriminative", decay=1.0, schedule={**QUICK["schedule"], "shape": "linear"})
    layered, _ = build(same, kinds["single-label"], tmp_path / "b", tiny)
    one, two = read_tensors(plain), read_tensors(layered)
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-5, msg=name)


def test_rates_fall_by_the_decay_from_layer_to_layer(kinds, tiny: Path, tmp_path: Path) -> None:
    _, _, _, learner, _ = setting(kinds, tiny, tmp_path, method("discriminative", decay=0.5))
    rates = [group["lr"] for group in learner.groups(1.0)]
    assert rates[:3] == [0.25, 0.5, 1.0]
    assert rates[3] == learner.method.head_learning_rate


def test_the_slanted_triangle_rises_falls_and_ends_at_a_32nd() -> None:
    from transferline.training.learner import Schedule

    factors = [Schedule(shape="slanted", warmup=0.1).factor(step, 100) for step in range(101)]
    assert max(factors) == factors[9] == 1.0
    assert factors[100] == pytest.approx(1 / 32)
    assert factors[:10] == sorted(factors[:10])
