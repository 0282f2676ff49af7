"""Save and load controls: settings and vocabulary as JSON, arrays as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "tfidf.json"
ARRAYS = "tfidf.safetensors"


def save_control(out: Path, saved: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a control to the folder `out`."""
    from safetensors.numpy import save_file

    (out / MODEL).write_text(json.dumps(saved, sort_keys=True, ensure_ascii=False), encoding="utf-8")
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, out / ARRAYS)


def load_control(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON values and the arrays of a saved control."""
    from safetensors.numpy import load_file

    return json.loads((folder / MODEL).read_text(encoding="utf-8")), load_file(folder / ARRAYS)
