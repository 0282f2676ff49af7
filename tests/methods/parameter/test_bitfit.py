"""Laws of BitFit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.kinds import build
from tests.methods.parameter.laws import method
from transferline.core.errors import InputError
from transferline.models.weights import read_tensors


def test_biases_move_and_no_matrix_of_the_encoder_does(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(method("bitfit"), kinds["single-label"], tmp_path / "t", tiny)
    before, after = read_tensors(tiny), read_tensors(out)
    encoder = [name for name in before if name.startswith(("embeddings.", "encoder."))]
    moved = {name for name in encoder if not torch.equal(before[name], after["bert." + name])}
    assert moved
    assert all(name.endswith("bias") for name in moved)


def test_a_family_without_biases_is_refused(kinds, bases: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'llama' models have no biases"):
        build(method("bitfit", pooling="first"), kinds["single-label"], tmp_path / "t", bases("llama"))
