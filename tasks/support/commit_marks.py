"""Which checkpoints are there: Prefect's record of a stage is written last, and is the commit mark."""

from __future__ import annotations

import json
from pathlib import Path

from transferline.core.checkpoint import RECORD, intact
from transferline.core.project import store


def committed(key: str) -> bool:
    """Whether a checkpoint is there, whole, with its record."""
    folder = store() / key
    return readable(folder / RECORD) and intact(folder)


def recorded(key: str) -> bool:
    """Whether a checkpoint is there with its record; its content, which takes reading all of it, is not looked at."""
    return readable(store() / key / RECORD)


def readable(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    return True
