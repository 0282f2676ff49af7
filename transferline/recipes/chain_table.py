"""A chain as a markdown table."""

from __future__ import annotations

from collections.abc import Mapping

from transferline.evaluation.markdown import table
from transferline.recipes.chain import Chain


def chain_table(chain: Chain, reused: Mapping[str, bool]) -> str:
    """A markdown table of all steps with their keys and parents, and whether each is built or reused."""
    rows = []
    for step in chain:
        parents = ", ".join(step.parents) or "-"
        rows.append([step.title, f"`{step.key}`", parents, "reuse" if reused.get(step.key) else "build"])
    return table(["step", "key", "from", "plan"], rows)
