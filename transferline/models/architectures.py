"""Read transformers' tables of architectures and heads without importing transformers.

Importing transformers loads torch. `plan` does not need torch, and the import costs seconds. The tables are literals in the source
of one module, so they are parsed from the source. If a release writes a table in another form, the module is imported.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import lru_cache
from pathlib import Path

MODULE = "transformers.models.auto.modeling_auto"


def table(name: str) -> dict[str, object]:
    """Map `model_type` to a class for a purpose such as "MASKED_LM". Empty where transformers has no such table."""
    variable = f"MODEL_FOR_{name}_MAPPING_NAMES"
    found = _literals().get(variable)
    if found is not None:
        return found
    import importlib

    return dict(getattr(importlib.import_module(MODULE), variable, {}))


@lru_cache(maxsize=1)
def _literals() -> dict[str, dict[str, object]]:
    """Every table that the module's source defines as `NAME = OrderedDict([(key, value), ...])`."""
    # find_spec locates the package without running its __init__
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
    """A list of pairs as a dictionary. None where the expression is not a literal."""
    try:
        return dict(ast.literal_eval(node))
    except (ValueError, TypeError):
        return None
