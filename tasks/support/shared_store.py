"""Shared checkpoint store by URI (s3://..., gs://..., any fsspec file system), with a local copy on each machine.

TRANSFERLINE_STORE names it. A checkpoint is copied file by file, lineage and record last. A machine that lacks a key fetches
it and checks its digest. Saved training states are copied too, so that a stage killed on one worker resumes on another.
Without a URI these functions do nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from transferline.core.checkpoint import LINEAGE, RECORD, intact
from transferline.core.errors import InputError
from transferline.core.project import shared_uri, store

_offered: dict[str, str] = {}  # key -> newest saved state that this process has copied


def fetch(key: str) -> bool:
    """Copy a checkpoint from the shared store. Returns whether it was complete. A checkpoint with a wrong digest is dropped."""
    place = _place(key)
    if place is None:
        return False
    files, base = place
    if not files.exists(f"{base}/{LINEAGE}"):  # written after all weights: without it the copy is not complete
        return False
    scratch = store() / ".making" / f"fetch-{key}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in files.find(base):
        target = scratch / name.removeprefix(files._strip_protocol(base)).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        files.get_file(name, str(target))
    if not intact(scratch):
        shutil.rmtree(scratch)
        return False
    shutil.rmtree(store() / key, ignore_errors=True)
    scratch.rename(store() / key)
    return True


def offer(key: str) -> None:
    """Copy a committed checkpoint to the shared store, record last."""
    _copy(key, RECORD)


def offer_built(key: str) -> None:
    """Copy a complete checkpoint without its record, which the requesting process writes."""
    _copy(key, LINEAGE)


def _copy(key: str, last: str) -> None:
    place = _place(key)
    if place is None:
        return
    files, base = place
    folder = store() / key
    if files.exists(f"{base}/{last}") and _same(files, base, folder):
        return
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    # lineage and record last: readers take them as the sign of a complete copy
    for path in sorted(paths, key=lambda p: (p.name == RECORD, p.name == LINEAGE)):
        _put(files, path, f"{base}/{path.relative_to(folder).as_posix()}")


def fetch_state(key: str, state: Path) -> None:
    """Copy the newest saved state of a stage from the shared store, if it is newer than the local one."""
    place = _place(f".state/{key}")
    if place is None:
        return
    files, base = place
    root = files._strip_protocol(base)
    names = files.find(base) if files.exists(base) else []
    # a state is complete when it has progress.json, which is copied last; the names `at-...` sort by progress
    complete = sorted({Path(n).parent.name for n in names if n.endswith("progress.json")})
    local = sorted(p.name for p in state.glob("at-*"))
    if not complete or (local and local[-1] >= complete[-1]):
        return
    for name in names:
        inside = name.removeprefix(root).lstrip("/")
        if inside.startswith(("at-",)) and not inside.startswith(complete[-1]):
            continue
        (state / inside).parent.mkdir(parents=True, exist_ok=True)
        files.get_file(name, str(state / inside))


def offer_state(key: str, state: Path) -> None:
    """Copy the newest saved state to the shared store, then delete the files that it replaces."""
    if shared_uri() is None:
        return
    newest = max((p for p in state.glob("at-*") if (p / "progress.json").exists()), default=None)
    if newest is None or _offered.get(key) == newest.name:
        return
    place = _place(f".state/{key}")
    assert place is not None
    files, base = place
    root = files._strip_protocol(base)
    before = files.find(base) if files.exists(base) else []
    paths = [*state.glob("best-*"), *(p for p in newest.iterdir() if p.is_file())]
    # progress.json last: it marks the state as complete
    for path in sorted(paths, key=lambda p: p.name == "progress.json"):
        _put(files, path, f"{base}/{path.relative_to(state).as_posix()}")
    # only now the previous state may go: at any time one complete state is in the store
    fresh = {f"{root}/{path.relative_to(state).as_posix()}" for path in paths}
    for name in before:
        if name not in fresh:
            files.rm_file(name)
    _offered[key] = newest.name


def forget_state(key: str) -> None:
    """Remove a finished stage's saved states from the shared store."""
    place = _place(f".state/{key}")
    if place is not None and place[0].exists(place[1]):
        place[0].rm(place[1], recursive=True)
    _offered.pop(key, None)


def fetch_input(path: Path, md5: str) -> Path:
    """The path of a data file on this machine, by its md5 in dvc.lock: `path`, or a copy from the shared store.

    A machine whose project is at another commit has another version at `path`. Raises InputError where the copy has another md5,
    and where there is none: its rows are not those that the key of the stage names.
    """
    place = _place(f".data/{md5}{path.suffix}")
    if place is None:
        return path
    if path.exists() and _md5_of(path, path.stat().st_mtime_ns) == md5:
        return path
    copy = store() / ".data" / f"{md5}{path.suffix}"
    if not copy.exists():
        name = f"shared store, .data/{copy.name}"
        mend = "Start the run again: the machine that starts it copies its data there"
        if not place[0].exists(place[1]):
            raise InputError(name, f"there is no such file, and {path} is another version of it", mend)
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_name(f".{copy.name}.part")  # renamed when complete: another process may wait for the file
        place[0].get_file(place[1], str(part))
        found = _md5_of(part, part.stat().st_mtime_ns)
        if found != md5:
            part.unlink()
            raise InputError(name, f"the file has the md5 {found}", f"Delete it there. {mend}")
        part.replace(copy)
    return copy


def offer_input(path: Path, md5: str) -> None:
    """Copy a data file to the shared store for workers on other machines, once per content."""
    place = _place(f".data/{md5}{path.suffix}")
    if place is not None and not place[0].exists(place[1]):
        _put(place[0], path, place[1])


def _place(name: str) -> tuple[Any, str] | None:
    """The shared file system and the full path of an entry, or None without a shared store."""
    uri = shared_uri()
    if uri is None:
        return None
    import fsspec

    # no cache of listings: other machines write to the store while this process runs
    files, base = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    return files, f"{base.rstrip('/')}/{name}"


def _put(files: Any, path: Path, name: str) -> None:
    files.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
    files.put_file(str(path), name)


@cache
def _md5_of(path: Path, changed: int) -> str:
    """md5 of a file, computed once while its time of change stays the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _same(files: Any, base: str, folder: Path) -> bool:
    """Whether the shared copy of a checkpoint has the digest of the local one."""
    with files.open(f"{base}/{LINEAGE}", "r") as file:
        remote = json.load(file)
    return remote["digest"] == json.loads((folder / LINEAGE).read_text(encoding="utf-8"))["digest"]
