"""Where DVC keeps the files of a target, and which version of each dvc.lock names. Only reads; versioning.py brings up to date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.recipes.chain import Data, Pin
from transferline.recipes.params import Params

SPLITS = ("train", "validation", "test")
PAIR = "pair with "  # before a lender's name, among the profiles


def data_stages(targets: Sequence[str], params: Params, source_tasks: Sequence[str] = ()) -> list[str]:
    """DVC's stages of some targets: each one's `prepare`, the corpora of their domains, each once, and what is lent to them."""
    domains = dict.fromkeys(params.target(target).domain for target in targets)
    stages = [f"prepare@{t}" for t in targets] + [f"corpus@{domain}" for domain in domains if domain in params.domains]
    return stages + [f"pair@{params.pair(source_task, target)}" for target in targets for source_task in source_tasks]


def places_of(target: str, params: Params, source_tasks: Sequence[str] = ()) -> dict[str, str]:
    """Role -> path, within the project, of every file of a target."""
    domain = params.target(target).domain
    places = {split: f"data/prepared/{domain}/{target}/{split}.jsonl" for split in SPLITS}
    for source_task in source_tasks:
        folder = f"data/pairs/{params.pair(source_task, target)}"
        places |= {f"{source_task}/{split}": f"{folder}/{split}.jsonl" for split in ("train", "validation")}
    return places | ({"corpus": f"data/corpora/{domain}/corpus.jsonl"} if domain in params.domains else {})


def locked_data(target: str, params: Params, source_tasks: Sequence[str] = ()) -> Data:
    """What dvc.lock says of a target's files, without running anything. Raises InputError where it says nothing."""
    places = places_of(target, params, source_tasks)
    hashes = _hashes()
    missing = [place for place in places.values() if place not in hashes]
    if missing:
        mend = f"Run `transferline run {target}`, or `dvc repro prepare@{target}`"
        raise InputError(f"target {target!r}", f"dvc.lock does not know {', '.join(missing)} yet", mend)
    return {role: Pin(root() / place, hashes[place]) for role, place in places.items()}


def profile_paths(target: str, params: Params, source_tasks: Sequence[str] = ()) -> dict[str, Path]:
    """The profiles that `prepare`, `corpus` and `pair` wrote."""
    domain = params.target(target).domain
    paths = {"target": root() / "data" / "prepared" / domain / target / "profile.json"}
    if domain in params.domains:
        paths["corpus"] = root() / "data" / "corpora" / domain / "profile.json"
    pairs = {
        f"{PAIR}{name}": root() / "data" / "pairs" / params.pair(name, target) / "profile.json" for name in source_tasks
    }
    return paths | pairs


def _hashes() -> dict[str, str]:
    """Path -> md5 of every out that dvc.lock knows."""
    with open_repo() as repo:
        known = {out.def_path: out.hash_info.value for out in repo.index.outs}
    return {path: md5 for path, md5 in known.items() if md5}


def open_repo() -> Any:
    from dvc.repo import Repo

    return Repo(str(root()))
