"""A store that many machines share by URI (s3://..., gs://..., any fsspec file system), with a local copy on each.

TRANSFERLINE_STORE names it. A checkpoint is copied there file by file, lineage and record last; a
machine that lacks a key fetches it and checks it against its digest. Saved states of training travel too, so that a
stage killed on one worker goes on where it stood on another. Without a URI all of this does nothing.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from transferline.core.checkpoint import LINEAGE, RECORD, intact
from transferline.core.project import shared_uri, store

_offered: dict[str, str] = {}  # key -> newest saved state that is there already


def fetch(key: str) -> bool:
    """Bring a checkpoint of the shared store here; whether there was a whole one. A torn or altered one is not taken."""
    place = _place(key)
    if place is None:
        return False
    files, base = place
    if not files.exists(f"{base}/{LINEAGE}"):
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
    """Copy a built checkpoint that its requester has yet to commit: whole, without a record."""
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
    for path in sorted(paths, key=lambda p: (p.name == RECORD, p.name == LINEAGE)):
        _put(files, path, f"{base}/{path.relative_to(folder).as_posix()}")


def fetch_state(key: str, state: Path) -> None:
    """Bring the newest saved state of a stage here, where another machine has come further than this one."""
    place = _place(f".state/{key}")
    if place is None:
        return
    files, base = place
    root = files._strip_protocol(base)
    names = files.find(base) if files.exists(base) else []
    whole = sorted({Path(n).parent.name for n in names if n.endswith("progress.json")})
    ours = sorted(p.name for p in state.glob("at-*"))
    if not whole or (ours and ours[-1] >= whole[-1]):
        return
    for name in names:
        inside = name.removeprefix(root).lstrip("/")
        if inside.startswith(("at-",)) and not inside.startswith(whole[-1]):
            continue
        (state / inside).parent.mkdir(parents=True, exist_ok=True)
        files.get_file(name, str(state / inside))


def offer_state(key: str, state: Path) -> None:
    """Copy a saved state that the shared store has not seen; what it replaces goes afterwards."""
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
    paths = [*state.glob("best-*.safetensors"), *(p for p in newest.iterdir() if p.is_file())]
    for path in sorted(paths, key=lambda p: p.name == "progress.json"):
        _put(files, path, f"{base}/{path.relative_to(state).as_posix()}")
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


def fetch_input(path: Path, md5: str) -> None:
    """Bring a data file that this machine lacks, by the md5 that DVC gave it."""
    place = _place(f".data/{md5}{path.suffix}")
    if path.exists() or place is None or not place[0].exists(place[1]):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    place[0].get_file(place[1], str(part))
    part.replace(path)


def offer_input(path: Path, md5: str) -> None:
    """Copy a data file to where workers on other machines find it; once for each content."""
    place = _place(f".data/{md5}{path.suffix}")
    if place is not None and not place[0].exists(place[1]):
        _put(place[0], path, place[1])


def _place(name: str) -> tuple[Any, str] | None:
    """The shared file system and the full name of an entry on it; None without a shared store."""
    uri = shared_uri()
    if uri is None:
        return None
    import fsspec

    files, base = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    return files, f"{base.rstrip('/')}/{name}"


def _put(files: Any, path: Path, name: str) -> None:
    files.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
    files.put_file(str(path), name)


def _same(files: Any, base: str, folder: Path) -> bool:
    with files.open(f"{base}/{LINEAGE}", "r") as file:
        there = json.load(file)
    return there["digest"] == json.loads((folder / LINEAGE).read_text(encoding="utf-8"))["digest"]
