"""A second witness of each champion: a small file in the store.

The registry alone cannot tell a lost database from a first run: both have no champion, and the next challenger would become one
without a comparison. The file says that there was a champion, so that its loss needs a person's word.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import quote

from transferline.core.errors import InputError
from transferline.core.project import root, store
from transferline.tasks.support.tracking import tracking_uri


def remember_champion(model: str, version: str, key: str) -> None:
    """Write that a version is the champion of a model."""
    path = _path(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"model": model, "version": version, "key": key}), encoding="utf-8")
    part.replace(path)


def check_not_lost(model: str, version: str | None) -> None:
    """Raise InputError if the registry has no champion (`version` is None) although it had one."""
    path = _path(model)
    if version is not None or not path.exists():
        return
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        was = f"version {known['version']}, key {known['key']}"
    except (json.JSONDecodeError, KeyError, TypeError):  # damaged by a kill or a disk: it still says that there was one
        was = "its version is unreadable"
    mend = (
        f"Restore MLflow's database from a backup. If the champion was removed on purpose, delete {path} and run again"
    )
    raise InputError(f"models:/{model}@champion", f"the registry has lost its champion ({was})", mend)


def _path(model: str) -> Path:
    """One file for each model and registry: projects that share a store may have registries of their own."""
    uri = tracking_uri()
    if store().is_relative_to(root()):
        uri = uri.replace(str(root()), ".")  # a project that is moved, with its store and its database, stays the same
    registry = hashlib.sha256(uri.encode()).hexdigest()[:8]
    return store() / ".champions" / f"{quote(model, safe='')}-{registry}.json"
