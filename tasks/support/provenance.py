"""Provenance of a run: the git commit of the project, and the installed packages."""

from __future__ import annotations

import subprocess

from transferline.core.project import root


def commit() -> str:
    """The project's git commit, with `+changes` if the work tree differs from it."""
    git = ["git", "-C", str(root())]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "no git commit"
    status = [*git, "status", "--porcelain", "--untracked-files=no"]
    changed = subprocess.run(status, capture_output=True, text=True, check=False).stdout.strip()
    return head.stdout.strip() + ("+changes" if changed else "")


def installed() -> str:
    """The installed packages, one `name==version` per line."""
    from importlib.metadata import distributions

    return "\n".join(sorted({f"{d.name}=={d.version}" for d in distributions()})) + "\n"
