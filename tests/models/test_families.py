"""Every family of bases goes through the whole line on a tiny random config, and refuses what it cannot do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bases import FAMILIES
from tests.kinds import QUICK, build, score
from transferline.core.errors import InputError
from transferline.core.problem import Ability
from transferline.models.families import Family, family_of
from transferline.models.heads import check_pooling
from transferline.recipes.registry import ADAPTING, TUNING

OWN_OBJECTIVE = {"xlnet": "permuted", "gpt2": "causal", "llama": "causal", "t5": None}
SMALL = {"block": 16, "tokens": 1500, "schedule": {"batch_size": 16, "learning_rate": 1e-3}}
MEAN = {"bert", "roberta", "electra", "xlnet", "modernbert"}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_adapted_tuned_and_predicts(name: str, kinds, bases: Callable[[str], Path], tmp_path: Path) -> None:
    """Adapted by its own objective, fine-tuned on labels and predicting better than chance; and on tags."""
    tip = bases(name)
    assert family_of(tip).name == name
    objective = OWN_OBJECTIVE.get(name, "masked")
    if objective is not None:
        stage = ADAPTING[objective].model_validate(SMALL)
        tip, figures = build(stage, kinds["single-label"], tmp_path / "adapted", tip)
        assert figures["heldout_loss"] < figures["heldout_loss_before"]
    pooling = "mean" if name in MEAN else "first"
    full = TUNING["full"].model_validate({**QUICK, "epochs": 12, "patience": 12, "pooling": pooling})
    model, _ = build(full, kinds["single-label"], tmp_path / "tuned", tip)
    assert score(model, kinds["single-label"]["test"], "accuracy", tmp_path / "said") > 0.7
    tagger, _ = build(full, kinds["tokens"], tmp_path / "tagger", tip)
    assert score(tagger, kinds["tokens"]["test"], "span_f1", tmp_path / "tags") > 0.7


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5"])
def test_what_generates_learns_to_answer(name: str, kinds, bases: Callable[[str], Path], tmp_path: Path) -> None:
    full = TUNING["full"].model_validate({**QUICK, "epochs": 20, "patience": 20, "pooling": "first"})
    model, _ = build(full, kinds["generation"], tmp_path / "tuned", bases(name))
    assert score(model, kinds["generation"]["test"], "exact_match", tmp_path / "said") > 0.7


@pytest.mark.parametrize(
    ("family", "ability", "cannot"),
    [
        ("gpt2", "masked LM", "cannot do"),
        ("bert", "causal LM", "cannot do"),
        ("roberta", "next sentence", "cannot do"),
        ("llama", "permuted LM", "cannot do"),
        ("bert", "generate", "cannot do"),
        ("t5", "encode", "cannot do"),
        ("modernbert", "bottlenecks", "cannot do"),
        ("distilbert", "prefixes", "cannot do"),
    ],
)
def test_what_a_family_cannot_do_is_refused_with_what_would_do(family, ability, cannot) -> None:
    with pytest.raises(InputError, match=f"{ability}.*{cannot}.*Use a base such as .*or a method for"):
        Family(family).admit(ability, "recipe 'r'")


def test_every_family_can_do_something_and_the_examples_can_do_what_they_stand_for() -> None:
    from typing import get_args

    from transferline.models.families import EXAMPLES

    for name in FAMILIES:
        assert Family(name).can("classify")
    for ability in get_args(Ability):
        named = [word for word in EXAMPLES[ability].replace(",", "").split() if word in FAMILIES]
        assert all(Family(name).can(ability) for name in named), ability


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(InputError, match="no language model of that type"):
        Family("vit").can("classify")


def test_mean_pooling_is_refused_where_there_is_none() -> None:
    check_pooling("gpt2", "first", "recipe 'r'")
    with pytest.raises(InputError, match="pooling: first"):
        check_pooling("gpt2", "mean", "recipe 'r'")
