"""The catalogue is whole: every method says what it is, has a recipe, a page entry and a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from transfer.catalogue import entries, settings_of
from transfer.methods import ADAPTING, TUNING
from transfer.params import load_params
from transfer.stage import name_of

ROOT = Path(__file__).resolve().parents[2]
ALL = {**ADAPTING, **TUNING}
PAGE = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
ONLY_IN_TESTS = {"permuted"}  # no package carries real weights of its family


def test_every_method_says_what_it_does_and_where_it_comes_from() -> None:
    for entry in entries():
        assert len(entry.about) > 15, entry.name
        assert re.search(r"(19|20)\d\d", entry.source), entry.name


@pytest.mark.parametrize("name", ALL)
def test_every_method_stands_in_the_catalogue_with_a_recipe_and_a_test(name: str) -> None:
    row = next((line for line in PAGE.splitlines() if line.startswith(f"| `{name}`")), None)
    assert row is not None, f"docs/catalogue.md has no row for {name}"
    for path in re.findall(r"\]\(\.\./(tests/[^)]+)\)", row):
        assert (ROOT / path).exists(), path
    assert "tests/" in row
    used = {name_of(type(s)) for r in load_params(ROOT / "params.yaml").recipes.values() for s in (*r.adapt, r.tune)}
    assert name in used | ONLY_IN_TESTS


def test_recipes_that_the_catalogue_names_are_declared() -> None:
    declared = load_params(ROOT / "params.yaml").recipes
    for recipe in re.findall(r"recipe `([a-z0-9-]+)`", PAGE):
        assert recipe in declared, recipe


def test_what_can_be_set_is_told_with_its_default() -> None:
    rows = {field: default for field, default, _ in settings_of(TUNING["lora"])}
    assert rows["rank"] == "8"
    assert rows["schedule"] == '{"batch_size": 16, "rate": 0.0005}'
