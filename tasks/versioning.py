"""DVC: brings the data of a target to the version that params.yaml declares, and says which version that is.

The gates run here (`prepare`, `corpus`). An unchanged project costs a fraction of a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.core.settings import inherited
from transferline.data.prepared_files import NEWS
from transferline.recipes.chain import Data
from transferline.recipes.params import Params
from transferline.tasks.support.data_versions import data_stages, locked_data, open_repo
from transferline.tasks.support.locks import held
from transferline.tasks.support.progress import console


@task(task_run_name="pin data of {target}", cache_policy=NO_CACHE)
def pin_data(target: str, params: Params, lenders: Sequence[str] = ()) -> Data:
    """Reproduce the data stages of a target and return its pinned files. Raises InputError on bad data.

    `lenders` are the source targets that it learns from: their examples are among the files, as `NAME/train`.
    """
    stages = data_stages([target], params, lenders)
    try:
        reproduce(stages)
    except InputError:
        reproduce(stages[:1])  # raises where it is this target's data that is bad
        # another target's is: the corpus is purged against the tests that there are, and again when that one is mended
        reproduce(stages[1:], ["--single-item"])
    return locked_data(target, params, lenders)


@task(task_run_name="pin data of {targets}", cache_policy=NO_CACHE)
def pin_all(targets: list[str], params: Params) -> None:
    """Reproduce the data stages of many targets in one go; what one target's data refuses is left for its own run to say."""
    try:
        reproduce(data_stages(targets, params), ["--keep-going"])
    except InputError as error:
        console.print(f"  [yellow]data   [/] {error.what}")


def reproduce(stages: list[str], options: Sequence[str] = ()) -> None:
    """Bring stages up to date, one repro at a time: DVC refuses a second one at once; ours waits."""
    with held("dvc-repro"):
        _mend_locks()
        if stages and not _unchanged(stages):
            _repro(stages, options)


def _mend_locks() -> None:
    """Take away DVC's file of locks where a kill has left it torn: DVC would refuse everything until somebody does.

    Whoever writes it now is done within a moment. Locks of processes that are gone DVC takes back by itself.
    """
    path = root() / ".dvc" / "tmp" / "rwlock"
    for wait in (0.0, 0.5, 0.5):
        time.sleep(wait)
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except json.JSONDecodeError:
            continue
        return
    console.print("  [yellow]data   [/] DVC's file of locks was torn by a kill: made anew")
    path.unlink(missing_ok=True)


def _repro(stages: list[str], options: Sequence[str]) -> None:
    """`dvc repro` as a command of its own: its stages then belong to one process group, and none outlives it."""
    pull = ["--pull", "--allow-missing"] if has_remote() else []
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", *options, *pull, *stages]
    console.print(f"  [cyan]data   [/] dvc repro {' '.join(stages)}")
    said: list[str] = []
    with subprocess.Popen(command, cwd=root(), env=inherited(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in filter(None, (raw.strip() for raw in process.stderr)):
            said.append(line)
            if line.startswith(NEWS):
                console.print(f"          {line.removeprefix(NEWS)}")
    if process.returncode:
        ours = [line for line in said if line.split(": ", 1)[0] in ("fetch", "prepare", "corpus", "pair")]
        what = (ours or said or ["dvc repro failed"])[0].rstrip(".")
        raise InputError("data", what, "What was finished before is kept; run again once it is mended")


def _unchanged(stages: list[str]) -> bool:
    """Whether DVC finds nothing to do: asked in this process, which is faster than a repro by command."""
    with open_repo() as repo:
        return not repo.status(targets=stages, with_deps=True)


def has_remote() -> bool:
    with open_repo() as repo:
        return bool(repo.config.get("core", {}).get("remote"))
