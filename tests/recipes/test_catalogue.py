"""The catalogue is whole: every method says what it is, has a recipe, a page entry and a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from transferline.recipes.catalogue import entries, settings_of, with_tables
from transferline.recipes.params import load_params
from transferline.recipes.registry import ADAPTING, INSTANCES, TUNING

ROOT = Path(__file__).resolve().parents[2]
ALL = {**ADAPTING, **INSTANCES, **TUNING}
PAGE = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


def test_every_method_says_what_it_does_and_where_it_comes_from() -> None:
    for entry in entries():
        assert len(entry.about) > 15, entry.name
        assert re.search(r"(19|20)\d\d", entry.source), entry.name


@pytest.mark.parametrize("name", ALL)
def test_every_method_is_named_by_a_test(name: str) -> None:
    assert f'"{name}"' in TESTS or re.search(rf"\b{ALL[name].__name__}\(", TESTS), name


def test_the_tables_of_the_page_are_those_that_the_registry_gives() -> None:
    """`python -m transferline.recipes.catalogue` writes them."""
    assert with_tables(PAGE, ROOT) == PAGE


def test_every_method_has_one_row_with_its_tests() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| `[a-z0-9-]+` \|", line)]
    assert sorted(row.split("`")[1] for row in rows) == sorted(ALL)
    for row in rows:
        paths = re.findall(r"\]\(\.\./(tests/[^)]+)\)", row)
        assert paths, row
        for path in paths:
            assert (ROOT / path).exists(), path


def test_recipes_that_the_prose_of_the_page_names_are_declared() -> None:
    declared = load_params(ROOT / "params.yaml").recipes
    for recipe in re.findall(r"[Rr]ecipe `([a-z0-9-]+)`", PAGE):
        assert recipe in declared, recipe


def test_what_can_be_set_is_told_with_its_default() -> None:
    rows = {field: default for field, default, _ in settings_of(TUNING["lora"])}
    assert rows["rank"] == "8"
    assert rows["schedule"] == '{"batch_size": 16, "learning_rate": 0.0005}'


def test_the_page_of_coverage_names_recipes_and_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\(\.\./(tests/[^)]+)\)", page):
        assert (ROOT / path).exists(), path
    params = load_params(ROOT / "params.yaml")
    rows = [line.split("|")[2] for line in page.splitlines() if line.startswith("|") and "](../tests" in line]
    named = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}
    known = {*params.recipes, *params.comparisons, *ALL, "scratch", "patience", "restarts", "plan", "features"}
    assert len(named) > 40
    assert named <= known, named - known
