"""Data versioning with DVC: md5s, unchanged data, bad data, kills, and a remote."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.project import environment, write_reviews
from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.data.prepared_files import read_texts
from transferline.recipes.params import load_params
from transferline.tasks.support.data_updates import pinned_now
from transferline.tasks.support.data_versions import locked_data
from transferline.tasks.support.orphans import MARK
from transferline.tasks.versioning import cause_of, pin_data


def pin() -> dict[str, str]:
    return {role: pin.md5 for role, pin in pin_data.fn("reviews", load_params(root() / "params.yaml")).items()}


def dvc(project: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=project, check=True, env=environment(project), capture_output=True
    )


def test_pins_are_what_dvc_lock_says_and_stay_while_nothing_changes(project: Path) -> None:
    first = pin()
    lock = (project / "dvc.lock").read_text()
    assert set(first) == {"train", "validation", "test", "corpus"}
    assert all(md5 in lock for md5 in first.values())
    assert pin() == first


def test_new_rows_change_what_they_touch(project: Path) -> None:
    first = pin()
    write_reviews(project / "reviews.csv", rows=400)
    second = pin()
    assert second["train"] != first["train"]
    assert second["corpus"] == first["corpus"]  # the larger test set had no further copies in the corpus


def test_bad_data_stops_with_the_row_and_loses_nothing(project: Path) -> None:
    first = pin()
    with (project / "reviews.csv").open("a", encoding="utf-8") as file:
        file.write("a fine film without a label,\n")
    with pytest.raises(InputError, match=r"reviews\.csv, row 242: column 'label' is empty"):
        pin()
    write_reviews(project / "reviews.csv")
    assert pin() == first


def test_a_plan_before_any_data_says_what_to_run(project: Path) -> None:
    with pytest.raises(InputError, match="transferline run reviews"):
        locked_data("reviews", load_params(project / "params.yaml"))


def test_a_corpus_is_purged_against_every_target_of_its_domain(project: Path) -> None:
    """The run pins one target; the corpus is still purged against the tests of both."""
    leaked = (project / "corpus.txt").read_text().splitlines()[:40]
    with (project / "second.csv").open("w", encoding="utf-8") as file:
        file.write("text,label\n" + "".join(f"{text},{'ab'[i % 2]}\n" for i, text in enumerate(leaked)))
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["targets"]["second"] = {"domain": "cinema", "data": "second.csv", "split": {"test": 0.4, "validation": 0.3}}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    pin()
    corpus = set(read_texts(project / "data" / "corpora" / "cinema" / "corpus.jsonl"))
    for split in ("test", "validation"):
        held_back = set(read_texts(project / "data" / "prepared" / "cinema" / "second" / f"{split}.jsonl"))
        assert held_back
        assert not held_back & corpus


def test_a_killed_repro_leaves_data_that_the_next_one_completes(project: Path) -> None:
    environment_ = environment(project, **{MARK: str(os.getpid())})
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", "corpus@cinema"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for moment in (0.8, 1.4, 2.0):
        process = subprocess.Popen(command, cwd=project, env={**environment_, "PATH": path}, start_new_session=True)
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    after = pin()
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".dvc" / "cache")
    (project / "dvc.lock").unlink()
    assert pin() == after


@pytest.mark.parametrize("torn", ["", '{"data/raw": {"wri'])
def test_a_file_of_locks_that_a_kill_has_torn_is_made_anew(project: Path, torn: str) -> None:
    before = pin()
    (project / ".dvc" / "tmp" / "rwlock").write_text(torn)
    assert pin() == before


def test_data_goes_to_a_remote_and_comes_back(project: Path, tmp_path: Path) -> None:
    first = pin()
    dvc(project, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    dvc(project, "push")
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".dvc" / "cache")
    dvc(project, "pull")
    assert pin() == first
    assert (project / "data" / "prepared" / "cinema" / "reviews" / "train.jsonl").exists()


def test_with_a_remote_missing_data_is_pulled_not_made(project: Path, tmp_path: Path) -> None:
    first = pin()
    dvc(project, "remote", "add", "-d", "store", str(tmp_path / "remote"))
    dvc(project, "push")
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".dvc" / "cache")
    assert pin() == first


TRACE = """news: read: reviews.csv: 3 rows, comma, quoting
Traceback (most recent call last):
  File "main.py", line 5, in <module>
    main()
KeyError: 'neutral'
ERROR: failed to reproduce 'prepare@reviews': failed to run: python -P -m transferline data prepare --rules 2
"""


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (TRACE, "a defect of this release, or of a library: KeyError: 'neutral'"),
        (
            "news: read: a\ntransferline: a.csv, row 3: is empty. Fill it\nERROR: failed",
            "a.csv, row 3: is empty. Fill it",
        ),
        ("ERROR: output 'x' does not exist", "ERROR: output 'x' does not exist"),
        ("", "dvc repro failed"),
    ],
)
def test_the_cause_of_a_failure_is_named_and_no_line_before_it(output: str, cause: str) -> None:
    assert cause_of(output) == cause


def test_conflict_markers_in_dvc_lock_are_one_error(project: Path) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\n<<<<<<< HEAD\nstages:\n=======\nstages: {}\n>>>>>>> other\n")
    params = load_params(project / "params.yaml")
    for read in (lambda: locked_data("reviews", params), lambda: pinned_now(params), pin):
        with pytest.raises(InputError) as refused:
            read()
        assert "dvc.lock" in str(refused.value)
        assert "\n" not in str(refused.value)
