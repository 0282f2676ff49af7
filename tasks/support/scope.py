"""Names on servers that several projects share: `project` of params.yaml keeps them apart.

Without it, names are those of params.yaml, as in a project that has its servers for itself.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from slugify import slugify

from transferline.core.project import root
from transferline.recipes.params import load_params

POOLS = ("transferline", "transferline-gpu")  # the shipped work pools; others are the user's own and keep their names


def project() -> str:
    """`project` of params.yaml, or an empty text."""
    path = root() / "params.yaml"
    return _declared(path, path.stat().st_mtime_ns) if path.is_file() else ""


def owner() -> str:
    """What marks this project's things on a server: its declared name, else the name of its folder."""
    return project() or root().name


def project_tag() -> str:
    """Tag of this project's deployments, and so of their runs."""
    return f"project-{owner()}"


def scoped(name: str) -> str:
    """A name on a server: PROJECT.NAME, or the name itself in a project without a declared name."""
    before = f"{project()}." if project() else ""
    return name if name.startswith(before) else before + name


def target_of_model(model: str) -> str:
    """The target of a registered model of this project."""
    return model.removeprefix(f"{project()}.") if project() else model


def scoped_pool(name: str) -> str:
    """Name of a work pool: a shipped one is the project's own."""
    return f"{name}-{project()}" if project() and name in POOLS else name


def artifact_key(*words: str) -> str:
    """Key of a Prefect artifact: lower-case letters, digits and hyphens."""
    return slugify("-".join(filter(None, (*words[:1], project(), *words[1:]))))


@lru_cache(maxsize=8)
def _declared(path: Path, changed: int) -> str:
    return load_params(path).project
