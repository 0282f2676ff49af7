"""What every objective does: its held-out loss falls, on the text that a recipe names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kinds import build
from transferline.data.prepared_files import read_texts
from transferline.recipes.registry import ADAPTING

Base = Callable[[str], Path]
SMALL = {"tokens": 12_000, "schedule": {"batch_size": 16, "learning_rate": 3e-3}}


@pytest.mark.parametrize(
    ("name", "family", "more"),
    [
        ("masked", "bert", {"block": 16}),
        ("masked", "roberta", {"block": 16, "whole_words": True}),
        ("causal", "llama", {"block": 16}),
        ("permuted", "xlnet", {"block": 18}),
        ("next-sentence", "bert", {}),
        ("tsdae", "bert", {}),
    ],
)
def test_the_held_out_loss_falls(name: str, family: str, more: dict, kinds, bases: Base, tmp_path: Path) -> None:
    stage = ADAPTING[name].model_validate({**SMALL, **more})
    _, figures = build(stage, kinds["single-label"], tmp_path / "t", bases(family))
    assert figures["heldout_loss"] < figures["heldout_loss_before"]


def test_the_tasks_own_text_is_read_instead_of_the_corpus_where_a_recipe_says_so(kinds, tiny: Path, tmp_path) -> None:
    stage = ADAPTING["masked"].model_validate({**SMALL, "block": 16, "text": "task"})
    assert stage.roles() == ("train",)
    rows = len(read_texts(kinds["single-label"]["train"]))
    _, figures = build(stage, {"train": kinds["single-label"]["train"]}, tmp_path / "t", tiny)
    assert figures["examples"] == pytest.approx(rows * 10 / 14, rel=0.1)  # ten tokens a row, fourteen in a block
