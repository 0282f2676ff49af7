"""Where a project's files lie."""

from __future__ import annotations

from pathlib import Path

from transferline.core.settings import settings


def root() -> Path:
    """The project's folder: TRANSFERLINE_ROOT, else the nearest folder upwards that holds params.yaml."""
    declared = settings().root
    if declared:
        return declared.resolve()
    here = Path.cwd().resolve()
    return next((folder for folder in (here, *here.parents) if (folder / "params.yaml").is_file()), here)


def store() -> Path:
    """Where checkpoints lie on this machine: TRANSFERLINE_STORE where that is a folder, else data/checkpoints."""
    declared = (settings().store or "").removeprefix("file://")
    return Path(declared).resolve() if declared and "://" not in declared else root() / "data" / "checkpoints"


def shared_uri() -> str | None:
    """The store that machines without a common disk share: TRANSFERLINE_STORE where that is a URI such as s3://."""
    declared = (settings().store or "").removeprefix("file://")
    return declared if "://" in declared else None


def locks() -> Path:
    """Folder of the lock files."""
    folder = store() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache() -> Path:
    """Folder of intermediate results that stages may want again, beside the checkpoints: outputs of frozen layers."""
    return store() / ".cache"
