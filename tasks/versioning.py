"""Data versioning with DVC: reproduce the data stages of a target and return its pinned files.

The leak gates run inside these stages (`prepare`, `corpus`, `pair`). An unchanged project costs a fraction of a second.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from transferline.core.commands import run_command
from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.core.settings import inherited
from transferline.data.prepared_files import NEWS
from transferline.recipes.chain import Data
from transferline.recipes.params import Params
from transferline.tasks.support.data_versions import data_stages, locked_data, open_repo
from transferline.tasks.support.locks import held
from transferline.tasks.support.progress import console, notice

_STAGES = ("fetch", "prepare", "corpus", "pair")


@task(task_run_name="pin data of {target}", cache_policy=NO_CACHE)
def pin_data(target: str, params: Params, source_tasks: Sequence[str] = ()) -> Data:
    """Reproduce the data stages of a target and return its pinned files. Raises InputError on bad data.

    `source_tasks` are the source tasks of the target. Their examples are among the files, as `NAME/train` and `NAME/validation`.
    """
    stages = data_stages([target], params, source_tasks)
    try:
        reproduce(stages)
    except InputError:
        reproduce(stages[:1])  # raises if the bad data is this target's own
        # The bad data is another target's, and must not stop this one. `--single-item` skips its `prepare`: the corpus is
        # purged against the tests that exist, and again once that target is corrected.
        reproduce(stages[1:], ["--single-item"])
    return locked_data(target, params, source_tasks)


@task(task_run_name="pin data of {targets}", cache_policy=NO_CACHE)
def pin_all(targets: list[str], params: Params) -> None:
    """Reproduce the data stages of several targets at once. Bad data of one target is raised later, by its own run."""
    try:
        reproduce(data_stages(targets, params), ["--keep-going"])
    except InputError as error:
        notice("data", "yellow", f"{error.what}")


def reproduce(stages: list[str], options: Sequence[str] = ()) -> None:
    """Run `dvc repro` for stages that are not up to date. A lock makes concurrent calls wait, where DVC would refuse them."""
    with held("dvc-repro"):
        _mend_locks()
        if stages and not _unchanged(stages):
            _repro(stages, options)


def _mend_locks() -> None:
    """Delete DVC's lock file if a kill has left it half written: DVC would refuse every command.

    DVC itself removes the locks of dead processes from an intact file.
    """
    path = root() / ".dvc" / "tmp" / "rwlock"
    for wait in (
        0.0,
        0.5,
        0.5,
    ):  # a live process may be writing it right now: look three times before it counts as torn
        time.sleep(wait)
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except json.JSONDecodeError:
            continue
        return
    notice("data", "yellow", "DVC's lock file was damaged by a kill; it is replaced")
    path.unlink(missing_ok=True)


def _repro(stages: list[str], options: Sequence[str]) -> None:
    """`dvc repro` as a command of its own: its stages then belong to one process group, and none outlives it."""
    pull = ["--pull", "--allow-missing"] if has_remote() else []
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", *options, *pull, *stages]
    notice("data", "cyan", f"dvc repro {' '.join(stages)}")

    def told(line: str) -> None:
        if line.startswith(NEWS):
            # without markup: a warning may show a label such as [/b]
            console.print(f"          {line.strip().removeprefix(NEWS)}", markup=False)

    done = run_command(command, "dvc repro", folder=root(), environment=inherited(), told=told)
    if done.code:
        raise InputError("data", cause_of(done.err), "Correct it and run again; finished stages are kept")


def cause_of(output: str) -> str:
    """The line of `dvc repro`'s output that names the cause.

    Lines of our own stages name file, row and remedy. An exception that no stage foresaw stands in the last line of its traceback.
    DVC's own lines only say that the stage failed.
    """
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    ours = [line for line in lines if line.split(": ", 1)[0] in ("transferline", *_STAGES)]
    ends = [
        next((line for line in lines[start + 1 :] if not line.startswith(" ")), "")
        for start, line in enumerate(lines)
        if line.startswith("Traceback (most recent call last)")
    ]
    found = [*ours, *(f"a defect of this release, or of a library: {end}" for end in ends[-1:] if end), *lines]
    return (found or ["dvc repro failed"])[0].strip().removeprefix("transferline: ").rstrip(".")


def _unchanged(stages: list[str]) -> bool:
    """Whether all stages are up to date. Asked in this process, which is faster than a `dvc repro` that does nothing."""
    with open_repo() as repo:
        return not repo.status(targets=stages, with_deps=True)


def has_remote() -> bool:
    """Whether the project has a default DVC remote."""
    with open_repo() as repo:
        return bool(repo.config.get("core", {}).get("remote"))
