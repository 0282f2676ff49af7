"""The commit of a project says whether its tree has changed, and the packages are those installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from transferline.tasks.support.provenance import commit, installed


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_changed_tree_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    assert commit() == "no git commit"
    (tmp_path / "params.yaml").write_text("a: 1\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "start")):
        git(tmp_path, *words)
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit() == head
    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert commit() == f"{head}+changes"


def test_packages_are_named_with_their_versions() -> None:
    lines = installed().splitlines()
    assert f"pytest=={pytest.__version__}" in lines
    assert lines == sorted(lines)
