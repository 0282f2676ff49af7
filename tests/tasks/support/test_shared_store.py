"""Shared store by URI, tested with S3 through moto's server."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.test_retrain import digests, transferline
from tests.project import make_project
from transferline.core.errors import InputError
from transferline.tasks.support import shared_store

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install 'transferline[s3]')")
moto = pytest.importorskip("moto.server", reason="moto's server is not installed")

pytestmark = pytest.mark.usefixtures("one_server")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Environment variables of a process that uses a new bucket."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    told = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret-word",
        "AWS_DEFAULT_REGION": "us-east-1",
        "TRANSFERLINE_STORE": f"s3://{uuid.uuid4().hex}/line",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()  # instances of other tests name another server
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.mkdir(told["TRANSFERLINE_STORE"].split("/")[2])
    yield told
    server.stop()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    shared_store._offered.clear()
    return tmp_path


def test_a_saved_state_goes_on_elsewhere(bucket: dict[str, str], machine: Path) -> None:
    here, there = machine / "here", machine / "there"
    for step in (10, 20):
        shutil.rmtree(here / "at-00000010", ignore_errors=True)
        folder = here / f"at-000000{step}"
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_text(f"weights at {step}")
        (folder / "progress.json").write_text(json.dumps({"step": step}))
        shared_store.offer_state("tune-1", here)
    (here / "best-00000010.safetensors").write_text("best")
    there.mkdir()
    shared_store.fetch_state("tune-1", there)
    assert [p.name for p in sorted(there.iterdir())] == ["at-00000020"]
    assert (there / "at-00000020" / "weights.safetensors").read_text() == "weights at 20"
    (there / "at-00000030").mkdir()
    (there / "at-00000030" / "progress.json").write_text("{}")
    shared_store.fetch_state("tune-1", there)  # the local state is newer, so it is kept
    assert (there / "at-00000030").exists()
    shared_store.forget_state("tune-1")
    shutil.rmtree(there)
    there.mkdir()
    shared_store.fetch_state("tune-1", there)
    assert not list(there.iterdir())


def test_a_data_file_comes_by_its_md5_and_no_other(bucket: dict[str, str], machine: Path) -> None:
    import fsspec

    source, elsewhere = machine / "train.jsonl", machine / "worker" / "train.jsonl"
    source.write_text('{"text": "new"}\n')
    md5 = hashlib.md5(source.read_bytes()).hexdigest()
    elsewhere.parent.mkdir()
    elsewhere.write_text('{"text": "old"}\n')  # the worker's project is at an older commit
    with pytest.raises(InputError, match=r"there is no such file, and .*train\.jsonl is another version"):
        shared_store.fetch_input(elsewhere, md5)
    shared_store.offer_input(source, md5)
    assert shared_store.fetch_input(source, md5) == source
    assert shared_store.fetch_input(elsewhere, md5).read_bytes() == source.read_bytes()
    assert elsewhere.read_text() == '{"text": "old"}\n'
    shutil.rmtree(machine / "data" / "checkpoints" / ".data")
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.pipe_file(f"{bucket['TRANSFERLINE_STORE']}/.data/{md5}.jsonl", b'{"text": "ne')
    with pytest.raises(InputError, match=r"the file has the md5 [0-9a-f]{32}\. Delete it there"):
        shared_store.fetch_input(elsewhere, md5)


def test_another_machine_reuses_everything_and_trusts_no_altered_object(bucket: dict[str, str], tmp_path: Path) -> None:
    import fsspec

    first, second = make_project(tmp_path / "first"), make_project(tmp_path / "second")
    made = transferline(first, "run", "reviews", "full", **bucket)
    assert made.returncode == 0, made.stderr
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    key = next(key for key in digests(first) if key.startswith("tune-"))
    files.pipe_file(f"{bucket['TRANSFERLINE_STORE']}/{key}/model.safetensors", b"altered")
    reused = transferline(second, "run", "reviews", "full", **bucket)
    assert reused.returncode == 0, reused.stderr
    built = [line.split()[-1] for line in reused.stderr.splitlines() if line.startswith("  built ")]
    assert len(built) == 1
    assert key in reused.stderr[reused.stderr.index("  built ") :].splitlines()[0]
    assert digests(second) == digests(first)
    for text in (made.stdout + made.stderr, *(p.read_text(errors="replace") for p in first.rglob("*.json"))):
        assert bucket["AWS_SECRET_ACCESS_KEY"] not in text
