"""Transfer learning for text as a production line: versioned data in, a proven model out."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PUBLIC = {
    "InputError": "transferline.core.errors",
    "Runtime": "transferline.core.runtime",
    "load_params": "transferline.recipes.params",
    "plan": "transferline.recipes.chain",
}

try:
    __version__ = version("transferline")
except PackageNotFoundError:  # a served model carries this code along without its distribution
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first asked for: `import transferline` costs nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'transferline' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
