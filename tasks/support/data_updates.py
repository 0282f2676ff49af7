"""Publish new data versions, and find the targets that a new version changes.

Only `transferline data push` commits. It reproduces the data stages, pushes the files to the DVC remote, commits dvc.lock
and pushes the branch. A retrain never commits: its lineage records the data versions that it used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import yaml

from transferline.core.commands import run_command
from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.recipes.params import Params
from transferline.tasks.support.data_versions import data_stages, places_of
from transferline.tasks.versioning import has_remote, reproduce


def push_data(params: Params, targets: list[str], message: str) -> tuple[list[str], str]:
    """Reproduce and push the data, then commit dvc.lock. Returns the changed targets and the commit ('' if unchanged)."""
    before = pinned_at("HEAD", params)
    reproduce(data_stages(targets, params))
    after = pinned_now(params)
    touched = [target for target in targets if after.get(target) != before.get(target)]
    # push the files before the commit: a commit must never name files that the remote lacks
    if has_remote():
        _run([sys.executable, "-m", "dvc", "push", "--quiet"], "dvc push", "Check the DVC remote and its credentials")
    if not _git("status", "--porcelain", "--", "dvc.lock"):
        return touched, ""
    _git("add", "dvc.lock")
    _git(*_identity(), "commit", "--quiet", "-m", message, "--", "dvc.lock")
    if _git("remote"):
        _git("push", "--quiet")
    return touched, _git("rev-parse", "HEAD")


def _identity() -> list[str]:
    """git options for the committer: git's own configuration, else transferline, so that a server needs no set-up."""
    ask = ["git", "-C", str(root()), "config", "user.email"]
    known = run_command(ask, "git config").out.strip()
    return [] if known else ["-c", "user.name=transferline", "-c", f"user.email=transferline@{os.uname().nodename}"]


def tracked() -> str:
    """The branch that is checked out."""
    return _git("rev-parse", "--abbrev-ref", "HEAD")


def update_branch(branch: str, fetch: bool) -> str:
    """The newest commit of a branch: of the git remote if `fetch` is set and a remote exists, else of the local branch."""
    remote = _git("remote").splitlines()
    if fetch and remote:
        _git("fetch", "--quiet", remote[0], branch)
        return _git("rev-parse", "FETCH_HEAD")
    return _git("rev-parse", branch)


def pinned_at(revision: str, params: Params) -> dict[str, dict[str, str]]:
    """md5 of every target's files in the dvc.lock of a git revision, or {} if that revision has no dvc.lock."""
    shown = run_command(["git", "-C", str(root()), "show", f"{revision}:./dvc.lock"], "git show")
    return _pinned(_parsed(shown.out, f"dvc.lock at {revision}"), params) if shown.code == 0 else {}


def pinned_now(params: Params) -> dict[str, dict[str, str]]:
    """md5 of every target's files in the dvc.lock of the work tree."""
    path = root() / "dvc.lock"
    return _pinned(_parsed(path.read_text(encoding="utf-8"), "dvc.lock"), params) if path.exists() else {}


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        what = f"is no YAML ({' '.join(str(error).split())[:200]})"
        mend = "Resolve merge conflicts: take one side, and run `dvc repro`"
        raise InputError(where, what, mend) from error
    return read if isinstance(read, dict) else {}


def _pinned(lock: Mapping[str, Any], params: Params) -> dict[str, dict[str, str]]:
    known = {out["path"]: out["md5"] for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])}
    found = {}
    for name in params.targets:
        md5s = {role: known[place] for role, place in places_of(name, params).items() if place in known}
        if md5s:
            found[name] = md5s
    return found


def _git(*words: str) -> str:
    mend = "Repair the git repository; no data is lost"
    return _run(["git", "-C", str(root()), *words], f"git {words[0]}", mend)


def _run(command: list[str], what: str, mend: str) -> str:
    done = run_command(command, what, folder=root())
    if done.code:
        said = (done.err or done.out).strip().splitlines() or [f"exit code {done.code}"]
        # git and DVC name the cause in such a line; advice may follow it
        causes = [line for line in said if line.lower().startswith(("fatal:", "error:"))]
        raise InputError(what, (causes or said)[-1], mend)
    return done.out.strip()
