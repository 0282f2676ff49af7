"""Laws of transferring the lowest layers only."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kinds import build
from tests.methods.parameter.laws import method, work_of
from transferline.core.errors import InputError
from transferline.models.weights import read_tensors
from transferline.targets import target_of


def test_all_layers_kept_is_full_fine_tuning(kinds, tiny: Path, tmp_path: Path) -> None:
    full, _ = build(method("full"), kinds["single-label"], tmp_path / "full", tiny)
    kept, _ = build(method("reinitialise", kept=2), kinds["single-label"], tmp_path / "kept", tiny)
    one, two = read_tensors(full), read_tensors(kept)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("kept", [0, 1])
def test_what_is_kept_is_the_sources_and_the_rest_is_not(kept: int, kinds, tiny: Path, tmp_path: Path) -> None:
    work = work_of(kinds, tiny, tmp_path)
    target = target_of(work.data["train"])
    model = method("reinitialise", kept=kept).load(target, work, True).base_model.state_dict()
    parent = read_tensors(tiny)
    same = {name for name in parent if name in model and torch.equal(parent[name], model[name])}
    weights = [name for name in parent if name.endswith("query.weight")]
    assert "embeddings.word_embeddings.weight" in same
    assert [name in same for name in sorted(weights)] == [layer < kept for layer in range(2)]


def test_more_layers_than_there_are_is_refused(kinds, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 9 layers"):
        build(method("reinitialise", kept=9), kinds["single-label"], tmp_path / "t", tiny)
