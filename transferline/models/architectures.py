"""transformers' own tables of which architecture has which head, without loading transformers: that would load torch, which a
plan has no use for and which costs it seconds.

The tables are literals of one of its modules, and are read as such. Where a release writes them otherwise, it is imported.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import lru_cache
from pathlib import Path

MODULE = "transformers.models.auto.modeling_auto"


def table(name: str) -> dict[str, object]:
    """`model_type` -> class for a purpose such as MASKED_LM; empty where transformers has no such table."""
    whole = f"MODEL_FOR_{name}_MAPPING_NAMES"
    found = _literals().get(whole)
    if found is not None:
        return found
    import importlib

    return dict(getattr(importlib.import_module(MODULE), whole, {}))


@lru_cache(maxsize=1)
def _literals() -> dict[str, dict[str, object]]:
    """Every table that stands in the module's source as `NAME = OrderedDict([(key, value), ...])`."""
    package = importlib.util.find_spec("transformers")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent.joinpath(*MODULE.split(".")[1:]).with_suffix(".py")
    if not path.exists():
        return {}
    found: dict[str, dict[str, object]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.value.args) == 1:
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id.endswith("_MAPPING_NAMES"):
                    pairs = _literal(node.value.args[0])
                    found |= {target.id: pairs} if pairs is not None else {}
    return found


def _literal(node: ast.expr) -> dict[str, object] | None:
    """A list of pairs as a dictionary; None where it is more than a literal."""
    try:
        return dict(ast.literal_eval(node))
    except (ValueError, TypeError):
        return None
