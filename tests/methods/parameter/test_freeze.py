"""Laws of freezing, and of the order of layers that every layer-wise method rests on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kinds import build
from tests.methods.parameter.laws import Base, method, work_of
from transferline.core.errors import InputError
from transferline.methods.parameter.tuning import depth_groups
from transferline.models.weights import read_tensors
from transferline.targets import target_of


def test_with_every_layer_frozen_the_encoder_does_not_change(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(method("freeze", lowest=99), kinds["single-label"], tmp_path / "t", tiny)
    before = method("full").load(target_of(kinds["single-label"]["train"]), work_of(kinds, tiny, tmp_path), True)
    after = read_tensors(out)
    moved = {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, after[name])}
    assert moved
    assert all(name.startswith(("classifier.", "bert.pooler.")) for name in moved)


def test_the_lowest_layers_stand_still_and_the_others_do_not(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(method("freeze", lowest=1), kinds["single-label"], tmp_path / "t", tiny)
    before, after = read_tensors(tiny), read_tensors(out)
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after["bert." + name])}
    assert not any(name.startswith(("embeddings.", "encoder.layer.0.")) for name in moved)
    assert any(name.startswith("encoder.layer.1.") for name in moved)


def test_freezing_everything_that_could_learn_is_refused(kinds, bases: Base, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="everything is frozen"):
        build(method("freeze", lowest=99, pooling="first"), kinds["generation"], tmp_path / "t", bases("gpt2"))


def test_depths_are_ordered_and_hold_every_parameter_of_the_encoder_once(bases: Base, kinds) -> None:
    target = target_of(kinds["single-label"]["train"])
    for family, layers in {
        "bert": 2,
        "distilbert": 2,
        "gpt2": 2,
        "llama": 2,
        "modernbert": 2,
        "t5": 4,
        "xlnet": 2,
    }.items():
        model = target.load(bases(family), "first", 0)
        groups = depth_groups(model)
        assert len(groups) == 1 + layers, family
        ids = [id(p) for group in groups for p in group]
        assert len(ids) == len(set(ids))
        assert id(model.get_input_embeddings().weight) in {id(p) for p in groups[0]}
