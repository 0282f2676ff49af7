"""Laws of feature extraction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import build, score
from transferline.core.errors import InputError
from transferline.methods.feature import Extraction
from transferline.models.tokenization import TokenizerSettings, load_tokenizer
from transferline.models.weights import load_model, read_tensors
from transferline.targets import TARGETS


def test_the_features_are_the_pooled_layers_side_by_side(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(Extraction(layers=(0, -1), max_tokens=24), kinds["single-label"], tmp_path / "t", tiny)
    target = TARGETS["single-label"]()
    model, tokenizer = target.open(out), load_tokenizer(out)
    examples = target.examples(kinds["single-label"]["test"], tokenizer, TokenizerSettings(24))
    features = target.features(model, examples)
    encoder, _ = load_model("AutoModel", tiny, 0)
    encoder.eval()
    with torch.no_grad():
        batch = tokenizer(examples.records[3]["text"], return_tensors="pt")
        states = encoder(**batch, output_hidden_states=True).hidden_states
    expected = torch.cat([states[0].mean(dim=1), states[-1].mean(dim=1)], dim=-1)[0].numpy()
    np.testing.assert_allclose(features[3], expected, rtol=1e-4, atol=1e-5)


def test_the_encoder_is_the_parents(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(Extraction(layers=(-1,), max_tokens=24), kinds["single-label"], tmp_path / "t", tiny)
    after = read_tensors(out)
    assert all(torch.equal(after["encoder." + name], tensor) for name, tensor in read_tensors(tiny).items())


@pytest.mark.parametrize(
    ("kind", "metric"), [("single-label", "accuracy"), ("multi-label", "micro_f1"), ("regression", "r2")]
)
def test_every_kind_that_it_suits_is_learnt(
    kind: str, metric: str, kinds, bases: Callable[[str], Path], tmp_path
) -> None:
    for family in ("bert", "gpt2"):
        out, _ = build(Extraction(layers=(0, 1, -1), max_tokens=24), kinds[kind], tmp_path / family, bases(family))
        assert score(out, kinds[kind]["test"], metric, tmp_path / f"said-{family}") > 0.55


def test_a_layer_that_is_not_there_is_refused(kinds, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no layer 7.*Layers are 0 to 2"):
        build(Extraction(layers=(7,)), kinds["single-label"], tmp_path / "t", tiny)
