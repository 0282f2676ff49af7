"""Checkpoint: a folder, its key, and the digest of its files. Nothing else passes between tasks.

A checkpoint is written to a scratch folder beside the store and renamed when it is complete, so readers never see a partial
one. `lineage.json` records its inputs and carries the digest. The orchestrator writes `record.json` last: it is the commit mark.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from transferline.core.stage import canonical_json

LINEAGE = "lineage.json"
RECORD = "record.json"
_NOT_CONTENT = {LINEAGE, RECORD}


class Checkpoint(BaseModel):
    """Key, digest and summary of a finished stage. Its files lie in the store's folder of that key."""

    model_config = ConfigDict(frozen=True)

    key: str
    digest: str
    summary: dict[str, float] = {}
    run_id: str = ""  # the tracker's run that built it; no part of its identity


def digest_of(folder: Path) -> str:
    """sha256 over the names and contents of a checkpoint's files, lineage and record left out."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in _NOT_CONTENT):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {inner}\n".encode())
    return total.hexdigest()


def read_lineage(folder: Path) -> dict[str, Any] | None:
    """The lineage of a checkpoint folder, or None where there is none or it is torn."""
    try:
        return json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None


def known_digest(folder: Path) -> str:
    """The digest that a folder's lineage records, or a computed one if there is no lineage."""
    return (read_lineage(folder) or {}).get("digest") or digest_of(folder)


def intact(folder: Path) -> bool:
    """Whether a folder's files are those that its lineage describes."""
    lineage = read_lineage(folder)
    return lineage is not None and lineage.get("digest") == digest_of(folder)


def publish(scratch: Path, folder: Path, lineage: dict[str, Any]) -> str:
    """Add the lineage to `scratch` and rename it to `folder`. Returns the digest of the content."""
    digest = digest_of(scratch)
    (scratch / LINEAGE).write_text(canonical_json({**lineage, "digest": digest}) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch.rename(folder)
    return digest
