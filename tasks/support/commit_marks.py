"""Commit marks: a checkpoint is complete when Prefect's record, which is written last, is in its folder."""

from __future__ import annotations

import json
from pathlib import Path

from transferline.core.checkpoint import RECORD, intact
from transferline.core.project import store


def committed(key: str) -> bool:
    """Whether a checkpoint has its record and its files match their digest. Reads all files."""
    folder = store() / key
    return readable(folder / RECORD) and intact(folder)


def recorded(key: str) -> bool:
    """Whether a checkpoint has its record. Does not hash its files, which takes half a minute for 150 checkpoints of 90 MB."""
    return readable(store() / key / RECORD)


def readable(path: Path) -> bool:
    """Whether a file exists and is JSON. A record that a kill has cut off is not."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    return True
