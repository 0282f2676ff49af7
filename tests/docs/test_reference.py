"""The tables of the documentation have every setting of params.yaml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from transferline.data.check_levels import Checks
from transferline.data.declarations import DomainSpec, PairSpec, Read, TargetSpec
from transferline.recipes.comparison import Comparison
from transferline.recipes.recipe import Recipe
from transferline.recipes.schedules import Operation, Watch

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows(page: str) -> set[str]:
    """The names in the first column of a page's tables. `watch.cron` counts as `watch` and as `cron`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    first = " ".join(re.findall(r"^\|([^|]+)\|", text, re.MULTILINE))
    return set(re.split(r"[`,. ]+", first))


BLOCKS: dict[type[BaseModel], str] = {
    Comparison: "compare.md",
    **dict.fromkeys((Checks, DomainSpec, Operation, PairSpec, Read, Recipe, TargetSpec, Watch), "reference.md"),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_setting_has_a_row(block: type[BaseModel]) -> None:
    assert set(block.model_fields) - rows(BLOCKS[block]) == set()
