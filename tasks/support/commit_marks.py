"""Commit marks: a checkpoint is complete when Prefect's record, which is written last, is in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transferline.core.checkpoint import RECORD, intact
from transferline.core.project import store

_JSON: dict[str, Any] = {
    "type": "json",
    "jsonlib": "json",
    "object_encoder": "prefect.serializers.prefect_json_object_encoder",
    "object_decoder": "prefect.serializers.prefect_json_object_decoder",
    "dumps_kwargs": {},
    "loads_kwargs": {},
}
_FORMER = tuple(f"{room}.checkpoint.Checkpoint" for room in ("transfer", "transferline.core"))


def committed(key: str) -> bool:
    """Whether a checkpoint has its record and its files match their digest. Reads all files."""
    folder = store() / key
    return readable(folder / RECORD) and intact(folder)


def recorded(key: str) -> bool:
    """Whether a checkpoint has its record. Does not hash its files, which takes half a minute for 150 checkpoints of 90 MB."""
    return readable(store() / key / RECORD)


def readable(path: Path) -> bool:
    """Whether a file is a whole record that Prefect reads without running code.

    A record names its own serializer. Others may write the records of a shared store, and `pickle` would run code. A record that
    a kill has cut off is not whole. In both cases the stage is built again.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        serializer = record["metadata"]["serializer"]
        result = json.loads(record["result"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(serializer, dict) and _inert(serializer) and isinstance(result, dict) and _names_no_class(result)


def _inert(serializer: dict[str, Any]) -> bool:
    return serializer.get("type") == "json" and serializer.items() <= _JSON.items()


def _names_no_class(result: dict[str, Any]) -> bool:
    """Whether no part of a result names a class, which Prefect would import. Older records name that of a checkpoint."""
    if result.get("__class__") in _FORMER:
        result = result.get("data", {})
    return not any(name in json.dumps(result) for name in ('"__class__"', '"__exc_type__"'))
