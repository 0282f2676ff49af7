"""The catalogue is whole: every method says what it is, has a recipe, a page entry and a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from transferline.recipes.catalogue import entries, settings_of
from transferline.recipes.params import load_params
from transferline.recipes.registry import ADAPTING, INSTANCES, TUNING

ROOT = Path(__file__).resolve().parents[2]
ALL = {**ADAPTING, **INSTANCES, **TUNING}
PAGE = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z0-9-]+)` \|.*$", PAGE, re.MULTILINE)
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


def test_every_method_says_what_it_does_and_where_it_comes_from() -> None:
    for entry in entries():
        assert len(entry.about) > 15, entry.name
        assert re.search(r"(19|20)\d\d", entry.source), entry.name


@pytest.mark.parametrize("name", ALL)
def test_every_method_is_named_by_a_test(name: str) -> None:
    assert f'"{name}"' in TESTS or re.search(rf"\b{ALL[name].__name__}\(", TESTS), name


def test_every_method_has_a_row_in_the_catalogue() -> None:
    assert set(ALL) == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_what_the_catalogue_says_of_a_method_is_so(name: str) -> None:
    assert name in ALL
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
    tests = re.findall(r"\]\(\.\./(tests/[^)]+)\)", row)
    assert tests
    for path in tests:
        assert (ROOT / path).exists(), path


def test_recipes_that_the_catalogue_names_are_declared() -> None:
    declared = load_params(ROOT / "params.yaml").recipes
    named = [
        name
        for names in re.findall(r"recipe ((?:`[a-z0-9-]+`(?:, )?)+)", PAGE)
        for name in re.findall(r"`(.*?)`", names)
    ]
    assert len(named) > 20
    for recipe in named:
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
