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
from transferline.models.gguf import make_static
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


@pytest.fixture
def table(tiny: Path, tmp_path: Path) -> Path:
    """Static embeddings made of the tiny base's own table."""
    from safetensors.torch import save_file

    matrix = read_tensors(tiny)["embeddings.word_embeddings.weight"]
    save_file({"embedding.weight": matrix.half()}, tmp_path / "table.safetensors")
    return make_static(tmp_path / "table.safetensors", tiny / "tokenizer.json", tmp_path / "static")


def test_static_embeddings_say_the_same_of_a_word_wherever_it_stands(table: Path, tiny: Path) -> None:
    model, _ = load_model("AutoModel", table, 0)
    tokenizer = load_tokenizer(table)
    one, two = (tokenizer(text, add_special_tokens=False, return_tensors="pt") for text in ("film the dull", "a film"))
    torch.testing.assert_close(model(**one).last_hidden_state[0, 0], model(**two).last_hidden_state[0, 1])


def test_static_embeddings_are_a_base_like_any_other(table: Path, kinds, tmp_path: Path) -> None:
    out, _ = build(Extraction(layers=(0,), max_tokens=24), kinds["single-label"], tmp_path / "t", table)
    assert score(out, kinds["single-label"]["test"], "accuracy", tmp_path / "said") > 0.9


def test_two_tables_in_one_file_are_refused(tmp_path: Path, tiny: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(2, 3)}, tmp_path / "two.safetensors")
    with pytest.raises(InputError, match="2 matrices where one is expected"):
        make_static(tmp_path / "two.safetensors", tiny / "tokenizer.json", tmp_path / "out")
