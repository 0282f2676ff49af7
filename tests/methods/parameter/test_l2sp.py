"""Laws of L2-SP."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.kinds import build
from tests.methods.parameter.laws import method
from transferline.models.weights import read_tensors


def test_no_pull_is_full_fine_tuning_and_a_huge_one_leaves_the_encoder_where_it_was(
    kinds, tiny: Path, tmp_path
) -> None:
    full, _ = build(method("full"), kinds["single-label"], tmp_path / "full", tiny)
    free, _ = build(method("l2-sp", pull=0.0), kinds["single-label"], tmp_path / "free", tiny)
    tied, _ = build(method("l2-sp", pull=1e9), kinds["single-label"], tmp_path / "tied", tiny)
    one, two, three, parent = (read_tensors(folder) for folder in (full, free, tied, tiny))
    assert all(torch.equal(one[name], two[name]) for name in one)
    encoder = [name for name in parent if name.startswith(("embeddings.", "encoder."))]
    assert all(torch.equal(three["bert." + name], parent[name]) for name in encoder)
    assert not torch.equal(three["classifier.weight"], one["classifier.weight"])
