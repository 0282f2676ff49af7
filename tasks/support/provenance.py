"""Provenance of a run: the git commit of the project, and the installed packages."""

from __future__ import annotations

from transferline.core.commands import run_command
from transferline.core.project import root


def commit() -> str:
    """The project's git commit, with `+changes` if the work tree differs from it."""
    git = ["git", "-C", str(root())]
    head = run_command([*git, "rev-parse", "HEAD"], "git rev-parse")
    if head.code:
        return "no git commit"
    status = [*git, "status", "--porcelain", "--untracked-files=no"]
    changed = run_command(status, "git status").out.strip()
    return head.out.strip() + ("+changes" if changed else "")


def installed() -> str:
    """The installed packages, one `name==version` per line."""
    from importlib.metadata import distributions

    return "\n".join(sorted({f"{d.name}=={d.version}" for d in distributions()})) + "\n"
