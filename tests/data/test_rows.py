"""Feature rows go through the whole line: bases, probes, fine-tuning, controls, alignment, and what refuses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import QUICK, build, score
from tests.matrices import blobs, prepare_matrix
from transferline.core.errors import InputError
from transferline.core.problem import Setting
from transferline.data.declarations import TargetSpec
from transferline.data.prepared_files import read_texts
from transferline.methods.controls.tfidf import Tfidf
from transferline.models.families import Family, family_of
from transferline.models.random_init import FeaturesBase
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model
from transferline.recipes.admission import check_recipe, setting_between
from transferline.recipes.recipe import Recipe
from transferline.recipes.registry import ADAPTING, TUNING

WIDTH = 12


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, Path]:
    """Three clusters in columns whose units run from 1e-3 to 1e8."""
    root = tmp_path_factory.mktemp("rows")
    points, y_true = blobs(300, WIDTH, 3, 0, 1.5)
    return prepare_matrix(root, "m", points * 10.0 ** np.arange(-3, WIDTH - 3), y_true)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> Path:
    out, _ = build(FeaturesBase(method="features", width=WIDTH), {}, tmp_path_factory.mktemp("base"), Path())
    return out


@pytest.fixture(scope="module")
def scaled(rows, matrix: Path, tmp_path_factory) -> Path:
    out, _ = build(ADAPTING["standardise"].model_validate({}), rows, tmp_path_factory.mktemp("scaled"), matrix)
    return out


def test_standardised_columns_have_mean_zero_and_spread_one(rows, scaled: Path) -> None:
    model, _ = load_model("AutoModel", scaled, 0)
    batch = load_tokenizer(scaled)(read_texts(rows["train"]), return_tensors="pt")
    said = model(**batch).last_hidden_state[:, 0]
    assert torch.allclose(said.mean(dim=0), torch.zeros(WIDTH), atol=1e-4)
    assert torch.allclose(said.std(dim=0, unbiased=False), torch.ones(WIDTH), atol=1e-4)


def test_a_linear_model_needs_the_columns_in_one_unit(rows, matrix: Path, scaled: Path, tmp_path: Path) -> None:
    """Only the largest columns are seen until they are standardised."""
    probe = TUNING["probe"].model_validate({})
    raw, _ = build(probe, rows, tmp_path / "raw", matrix)
    fair, _ = build(probe, rows, tmp_path / "fair", scaled)
    assert score(fair, rows["test"], "accuracy", tmp_path / "two") > 0.95
    assert score(raw, rows["test"], "accuracy", tmp_path / "one") < 0.95


@pytest.mark.parametrize("method", ["full", "extraction", "forest"])
def test_rows_are_learnt_by_other_methods(method: str, rows, scaled: Path, tmp_path: Path) -> None:
    settings = {
        "full": {**QUICK, "head_learning_rate": 1e-2, "epochs": 8},
        "extraction": {"layers": [-1]},
        "forest": {},
    }[method]
    out, _ = build(TUNING[method].model_validate(settings), rows, tmp_path / "m", scaled)
    assert score(out, rows["test"], "accuracy", tmp_path / "p") > 0.85


def test_the_control_without_a_network_is_a_linear_model_on_the_columns(rows, tmp_path: Path) -> None:
    out, _ = build(Tfidf(), rows, tmp_path / "m", Path())
    assert score(out, rows["test"], "accuracy", tmp_path / "p") > 0.95


def test_texts_and_rows_are_not_mixed_up(rows, kinds, matrix: Path, tiny: Path, tmp_path: Path) -> None:
    probe = TUNING["probe"].model_validate({})
    with pytest.raises(InputError, match="a matrix with 12 columns, and the base reads texts"):
        build(probe, rows, tmp_path / "one", tiny)
    with pytest.raises(InputError, match="rows of texts, and the base reads a matrix"):
        build(probe, kinds["single-label"], tmp_path / "two", matrix)
    spec, text = TargetSpec(domain="d", data="x", features=WIDTH), TargetSpec(domain="d", data="x")
    recipe = Recipe.model_validate({"base": "b", "tune": {"method": "probe"}})
    check_recipe("r", recipe, spec, Setting.UNKNOWN, family_of(matrix))
    for one, family in ((spec, Family("bert")), (text, family_of(matrix))):
        with pytest.raises(InputError, match="its base reads"):
            check_recipe("r", recipe, one, Setting.UNKNOWN, family)
    masked = Recipe.model_validate({"base": "b", "adapt": [{"method": "masked"}], "tune": {"method": "probe"}})
    with pytest.raises(InputError, match="asks for masked LM"):
        check_recipe("r", masked, spec, Setting.UNKNOWN, family_of(matrix))


def test_another_matrix_is_a_heterogeneous_source() -> None:
    labels = frozenset({"a", "b"})
    three, four = (TargetSpec(domain="d", data="x", features=n) for n in (3, 4))
    texts = TargetSpec(domain="d", data="x")
    assert setting_between((three, labels), (four, labels)) is Setting.HETEROGENEOUS
    assert setting_between((four, labels), (four, labels)) is Setting.IDENTICAL
    assert setting_between((four, labels), (texts, labels)) is Setting.HETEROGENEOUS


@pytest.mark.parametrize("wrong", [{"task": "tokens"}, {"task": "generation"}, {"pair": "p"}])
def test_rows_have_no_words_and_no_second_text(wrong: dict) -> None:
    with pytest.raises(ValueError, match="features"):
        TargetSpec(domain="d", data="x", features=3, **wrong)
