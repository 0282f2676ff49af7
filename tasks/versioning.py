"""DVC: brings the data of a target to the version that params.yaml declares, and says which version that is.

The gates run here (`prepare`, `corpus`). An unchanged project costs a fraction of a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.locking import held
from tasks.progress import console
from tasks.project import root
from transfer.chain import Data, Pin
from transfer.corpora.files import NEWS
from transfer.errors import InputError
from transfer.params import Params

SPLITS = ("train", "validation", "test")
PAIR = "pair with "  # before a lender's name, among the profiles


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


def data_stages(targets: Sequence[str], params: Params, lenders: Sequence[str] = ()) -> list[str]:
    """DVC's stages of some targets: each one's `prepare`, the corpora of their domains, each once, and what is lent to them."""
    domains = dict.fromkeys(params.target(target).domain for target in targets)
    stages = [f"prepare@{t}" for t in targets] + [f"corpus@{domain}" for domain in domains if domain in params.domains]
    return stages + [f"pair@{params.pair(lender, target)}" for target in targets for lender in lenders]


def places_of(target: str, params: Params, lenders: Sequence[str] = ()) -> dict[str, str]:
    """Role -> path, within the project, of every file of a target."""
    domain = params.target(target).domain
    places = {split: f"data/prepared/{domain}/{target}/{split}.jsonl" for split in SPLITS}
    for lender in lenders:
        folder = f"data/pairs/{params.pair(lender, target)}"
        places |= {f"{lender}/{split}": f"{folder}/{split}.jsonl" for split in ("train", "validation")}
    return places | ({"corpus": f"data/corpora/{domain}/corpus.jsonl"} if domain in params.domains else {})


def locked_data(target: str, params: Params, lenders: Sequence[str] = ()) -> Data:
    """What dvc.lock says of a target's files, without running anything. Raises InputError where it says nothing."""
    places = places_of(target, params, lenders)
    hashes = _hashes()
    missing = [place for place in places.values() if place not in hashes]
    if missing:
        mend = f"Run `transferline run {target}`, or `dvc repro prepare@{target}`"
        raise InputError(f"target {target!r}", f"dvc.lock does not know {', '.join(missing)} yet", mend)
    return {role: Pin(root() / place, hashes[place]) for role, place in places.items()}


def profile_paths(target: str, params: Params, lenders: Sequence[str] = ()) -> dict[str, Path]:
    """The profiles that `prepare`, `corpus` and `pair` wrote."""
    domain = params.target(target).domain
    paths = {"target": root() / "data" / "prepared" / domain / target / "profile.json"}
    if domain in params.domains:
        paths["corpus"] = root() / "data" / "corpora" / domain / "profile.json"
    pairs = {
        f"{PAIR}{name}": root() / "data" / "pairs" / params.pair(name, target) / "profile.json" for name in lenders
    }
    return paths | pairs


def _hashes() -> dict[str, str]:
    """Path -> md5 of every out that dvc.lock knows."""
    with _repo() as repo:
        known = {out.def_path: out.hash_info.value for out in repo.index.outs}
    return {path: md5 for path, md5 in known.items() if md5}


def _repo() -> Any:
    from dvc.repo import Repo

    return Repo(str(root()))


def reproduce(stages: list[str], options: Sequence[str] = ()) -> None:
    """Bring stages up to date, one repro at a time: DVC refuses a second one at once; ours waits."""
    with held("dvc-repro"):
        if stages and not _unchanged(stages):
            _repro(stages, options)


def _repro(stages: list[str], options: Sequence[str]) -> None:
    """`dvc repro` as a command of its own: its stages then belong to one process group, and none outlives it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    pull = ["--pull", "--allow-missing"] if has_remote() else []
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", *options, *pull, *stages]
    console.print(f"  [cyan]data   [/] dvc repro {' '.join(stages)}")
    said: list[str] = []
    with subprocess.Popen(command, cwd=root(), env=environment, stderr=subprocess.PIPE, text=True) as process:
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
    with _repo() as repo:
        return not repo.status(targets=stages, with_deps=True)


def has_remote() -> bool:
    with _repo() as repo:
        return bool(repo.config.get("core", {}).get("remote"))
