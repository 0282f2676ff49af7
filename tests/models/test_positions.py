"""An input longer than a base has positions is refused before anything is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.core.problem import Setting
from transferline.data.declarations import TargetSpec
from transferline.methods.objectives.contrastive import SimCSE
from transferline.methods.objectives.masked import Masked
from transferline.methods.objectives.next_sentence import NextSentence
from transferline.methods.parameter.full import Full
from transferline.models.families import Family, family_of
from transferline.recipes.admission import check_recipe
from transferline.recipes.recipe import Recipe


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "t5", "relative_attention_num_buckets": 32}, None),
        ({"model_type": "xlnet", "max_position_embeddings": None}, None),
        (
            {
                "model_type": "deberta-v2",
                "max_position_embeddings": 512,
                "relative_attention": True,
                "position_biased_input": False,
            },
            None,
        ),
    ],
)
def test_positions_of_a_base(config: dict[str, object], positions: int | None, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert family_of(tmp_path) == Family(str(config["model_type"]), positions)


@pytest.mark.parametrize(
    ("recipe", "needs"),
    [
        (Recipe(base="b", tune=Full(max_tokens=65)), 65),
        (Recipe(base="b", adapt=(Masked(block=128),), tune=Full(max_tokens=16)), 128),
        (Recipe(base="b", adapt=(NextSentence(piece=32),), tune=Full(max_tokens=16)), 67),
        (Recipe(base="b", adapt=(SimCSE(piece=65),), tune=Full(max_tokens=16)), 65),
    ],
)
def test_longer_inputs_are_refused_with_both_numbers(recipe: Recipe, needs: int) -> None:
    spec = TargetSpec(domain="d", data="d.csv")
    with pytest.raises(InputError, match=rf"reads up to {needs} tokens, but the base has 64 positions"):
        check_recipe("r", recipe, spec, Setting.UNKNOWN, Family("bert", 64))
    check_recipe("r", recipe, spec, Setting.UNKNOWN, Family("bert", needs))
    check_recipe("r", recipe, spec, Setting.UNKNOWN, Family("bert"))


def test_a_decoder_needs_positions_for_the_source_and_the_target() -> None:
    spec = TargetSpec(domain="d", data="d.csv", task="generation")
    recipe = Recipe(base="b", tune=Full(max_tokens=40, target_tokens=30, pooling="first"))
    with pytest.raises(InputError, match="up to 70 tokens"):
        check_recipe("r", recipe, spec, Setting.UNKNOWN, Family("gpt2", 64))
