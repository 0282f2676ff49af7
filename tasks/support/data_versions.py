"""Paths of a target's data files and their versions in dvc.lock. Read-only: versioning.py reproduces the stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.recipes.chain import Data, Pin
from transferline.recipes.params import Params
from transferline.recipes.strict_yaml import read_yaml

SPLITS = ("train", "validation", "test")
PAIR = "pair with "  # prefix of a source task's name among the profiles


def data_stages(targets: Sequence[str], params: Params, source_tasks: Sequence[str] = ()) -> list[str]:
    """Names of the DVC stages of some targets: `prepare` of each, `corpus` of each domain, `pair` of each source task."""
    domains = dict.fromkeys(params.target(target).domain for target in targets)
    stages = [f"prepare@{t}" for t in targets] + [f"corpus@{domain}" for domain in domains if domain in params.domains]
    return stages + [f"pair@{params.pair(source_task, target)}" for target in targets for source_task in source_tasks]


def places_of(target: str, params: Params, source_tasks: Sequence[str] = ()) -> dict[str, str]:
    """Role -> path, relative to the project, of every data file of a target."""
    domain = params.target(target).domain
    places = {split: f"data/prepared/{domain}/{target}/{split}.jsonl" for split in SPLITS}
    for source_task in source_tasks:
        folder = f"data/pairs/{params.pair(source_task, target)}"
        places |= {f"{source_task}/{split}": f"{folder}/{split}.jsonl" for split in ("train", "validation")}
    return places | ({"corpus": f"data/corpora/{domain}/corpus.jsonl"} if domain in params.domains else {})


def locked_data(target: str, params: Params, source_tasks: Sequence[str] = ()) -> Data:
    """A target's files with their md5 in dvc.lock. Runs nothing. Raises InputError if dvc.lock lacks one."""
    places = places_of(target, params, source_tasks)
    hashes = _hashes()
    missing = [place for place in places.values() if place not in hashes]
    if missing:
        mend = f"Run `transferline run {target}`, or `dvc repro prepare@{target}`"
        raise InputError(f"target {target!r}", f"dvc.lock does not know {', '.join(missing)} yet", mend)
    return {role: Pin(root() / place, hashes[place]) for role, place in places.items()}


def profile_paths(target: str, params: Params, source_tasks: Sequence[str] = ()) -> dict[str, Path]:
    """Paths of the profiles that `prepare`, `corpus` and `pair` write for a target."""
    domain = params.target(target).domain
    paths = {"target": root() / "data" / "prepared" / domain / target / "profile.json"}
    if domain in params.domains:
        paths["corpus"] = root() / "data" / "corpora" / domain / "profile.json"
    pairs = {
        f"{PAIR}{name}": root() / "data" / "pairs" / params.pair(name, target) / "profile.json" for name in source_tasks
    }
    return paths | pairs


def _hashes() -> dict[str, str]:
    """Path -> md5 of every output in dvc.lock."""
    with open_repo() as repo:
        known = {out.def_path: out.hash_info.value for out in repo.index.outs}
    return {path: md5 for path, md5 in known.items() if md5}


@contextmanager
def open_repo() -> Iterator[Any]:
    """The project's DVC repository. Raises InputError where DVC cannot read dvc.yaml or dvc.lock, or refuses a stage."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    if (root() / "dvc.yaml").exists():
        read_yaml(root() / "dvc.yaml")  # DVC's own message for wrong YAML names no line
    try:
        with Repo(str(root())) as repo:
            yield repo
    except DvcException as error:
        what = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(
            "DVC", what, "Correct params.yaml, dvc.yaml or dvc.lock; `dvc status` shows the details"
        ) from error
