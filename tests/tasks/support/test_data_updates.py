"""Which targets a new dvc.lock touches, and what is committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.project import declare
from tests.recording import record
from transferline.core.errors import InputError
from transferline.recipes.params import Params, load_params
from transferline.tasks.support import data_updates
from transferline.tasks.support.data_updates import pinned_at, pinned_now, push_data, tracked, update_branch

TARGETS = {name: {"domain": "cinema", "data": f"{name}.csv"} for name in ("reviews", "tone")}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write_lock(folder: Path, **md5s: str) -> None:
    """A dvc.lock with the training split of each target, and the corpus of both."""
    outs = [
        {"path": f"data/prepared/cinema/{name}/train.jsonl", "md5": md5}
        for name, md5 in md5s.items()
        if name != "corpus"
    ]
    outs += [{"path": "data/corpora/cinema/corpus.jsonl", "md5": md5s["corpus"]}] if "corpus" in md5s else []
    (folder / "dvc.lock").write_text(yaml.safe_dump({"stages": {"all": {"outs": outs}}}))


@pytest.fixture
def repository(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository whose dvc.lock names two targets; nobody is known to git."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    declare(bare, targets=TARGETS)
    write_lock(bare, reviews="r1", tone="t1")
    git(bare, "init", "-q", "-b", "main")
    git(bare, "add", "params.yaml", "dvc.lock")
    git(bare, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")
    monkeypatch.setattr(data_updates, "has_remote", lambda: False)
    return bare


@pytest.fixture
def params(repository: Path) -> Params:
    return load_params(repository / "params.yaml")


def test_pins_of_the_work_tree_and_of_a_revision(repository: Path, params: Params) -> None:
    first = {"reviews": {"train": "r1"}, "tone": {"train": "t1"}}
    write_lock(repository, reviews="r2", corpus="c2")
    assert pinned_at("HEAD", params) == first
    assert pinned_now(params) == {"reviews": {"train": "r2", "corpus": "c2"}, "tone": {"corpus": "c2"}}
    assert pinned_at("no-such-revision", params) == {}
    (repository / "dvc.lock").unlink()
    assert pinned_now(params) == {}


def test_only_the_target_whose_files_changed_is_touched_and_committed(
    repository: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = record(monkeypatch, data_updates, "reproduce", lambda _: write_lock(repository, reviews="r2", tone="t1"))
    (repository / "params.yaml").write_text((repository / "params.yaml").read_text() + "# edited\n")
    touched, commit = push_data(params, ["reviews", "tone"], "New reviews")
    assert made.only[0][0] == ["prepare@reviews", "prepare@tone", "corpus@cinema"]
    assert touched == ["reviews"]
    assert commit == git(repository, "rev-parse", "HEAD")
    assert git(repository, "log", "-1", "--format=%s %an") == "New reviews transferline"
    assert git(repository, "show", "--name-only", "--format=", "HEAD") == "dvc.lock"  # and not the edited params.yaml


def test_without_new_data_nothing_is_committed(
    repository: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_updates, "reproduce", lambda _: None)
    before = git(repository, "rev-parse", "HEAD")
    assert push_data(params, ["reviews"], "nothing") == ([], "")
    assert git(repository, "rev-parse", "HEAD") == before


def test_a_branch_is_asked_of_its_remote_only_where_that_is_wanted(repository: Path) -> None:
    copy = repository.parent / "copy"
    git(repository.parent, "clone", "-q", str(repository), str(copy))
    before = git(repository, "rev-parse", "HEAD")
    assert tracked() == "main"
    assert update_branch("main", fetch=True) == before  # there is no remote
    git(repository, "remote", "add", "origin", str(copy))
    git(copy, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "newer", "--allow-empty")
    assert update_branch("main", fetch=False) == before
    assert update_branch("main", fetch=True) == git(copy, "rev-parse", "HEAD") != before


def test_a_failing_git_is_an_input_error_with_its_last_words(repository: Path) -> None:
    with pytest.raises(InputError, match=r"git rev-parse: .*no-branch"):
        update_branch("no-branch", fetch=False)
