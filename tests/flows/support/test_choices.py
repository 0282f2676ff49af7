"""The dropdowns of a form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import TINY, declare
from transferline.flows.support.choices import OWN, _offer, recipe_of


def test_a_dropdown_offers_the_names_of_its_block(bare: Path) -> None:
    assert _offer("targets").json_schema_extra == {"enum": ["reviews"]}
    declare(bare, comparisons={"default": {"recipes": ["full"]}, "few": {"budgets": [0.1]}})
    assert _offer("comparisons", "default").json_schema_extra == {"enum": ["default", "few"]}  # each once
    declare(bare, recipes={"default": {"base": "tiny", "tune": TINY}})
    assert _offer("recipes", OWN, "auto").json_schema_extra == {"enum": ["own", "auto", "default"]}


def test_without_a_readable_declaration_there_is_no_dropdown(bare: Path) -> None:
    (bare / "params.yaml").write_text("targets: [")
    assert _offer("targets").json_schema_extra is None


@pytest.mark.parametrize(
    ("choice", "recipe"), [(None, None), ("", None), (OWN, None), ("auto", "auto"), ("full", "full")]
)
def test_own_means_the_recipe_of_the_target(choice: str | None, recipe: str | None) -> None:
    assert recipe_of(choice) == recipe
