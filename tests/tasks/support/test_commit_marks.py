"""Records that are read are inert: no serializer or class that a record names is ever used."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.cache_policies import CacheKeyFnPolicy

from transferline.tasks.support.commit_marks import readable

SERIALIZER = {
    "type": "json",
    "jsonlib": "json",
    "object_encoder": "prefect.serializers.prefect_json_object_encoder",
    "object_decoder": "prefect.serializers.prefect_json_object_decoder",
    "dumps_kwargs": {},
    "loads_kwargs": {},
}
RESULT = {"key": "tune-1", "digest": "d", "summary": {"score": 1.0}, "run_id": "r"}


def written(path: Path, serializer: object = SERIALIZER, result: object = RESULT) -> Path:
    path.write_text(json.dumps({"metadata": {"serializer": serializer}, "result": json.dumps(result)}))
    return path


def test_prefects_own_json_records_are_read(tmp_path: Path, prefect_server: None) -> None:
    @task(
        persist_result=True,
        result_serializer="json",
        cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda *_: "record.json"),
    )
    def made() -> dict[str, Any]:
        return RESULT

    @flow
    def run() -> None:
        made.with_options(result_storage=tmp_path)()

    run()
    assert readable(tmp_path / "record.json")


CLASSES = {
    "pickle": {"type": "pickle", "picklelib": "cloudpickle", "pickle_modules": [], "pickle_compatible": True},
    "compressed pickle": {"type": "compressed/pickle", "compressionlib": "lzma"},
    "another library": SERIALIZER | {"jsonlib": "os"},
    "another decoder": SERIALIZER | {"object_decoder": "os.system"},
    "arguments": SERIALIZER | {"loads_kwargs": {"cls": "x"}},
    "a field of its own": SERIALIZER | {"hook": "os.system"},
    "a list": ["json"],
    "none": None,
}


@pytest.mark.parametrize("serializer", CLASSES.values(), ids=CLASSES)
def test_no_other_serializer_is_used(tmp_path: Path, serializer: object) -> None:
    assert not readable(written(tmp_path / "record.json", serializer))


@pytest.mark.parametrize(
    "result",
    [
        {"__class__": "os.system", "data": "touch pwned"},
        {"key": {"__class__": "subprocess.Popen", "data": "x"}},
        {"__exc_type__": "SystemExit", "message": "x"},
        {"__class__": "transferline.core.checkpoint.Checkpoint", "data": {"a": {"__class__": "x", "data": 1}}},
        ["a list"],
        base64.b64encode(pickle.dumps({"key": "tune-1"})).decode(),
    ],
)
def test_no_class_is_imported(tmp_path: Path, result: object) -> None:
    assert not readable(written(tmp_path / "record.json", result=result))


def test_records_of_former_releases_name_the_class_of_a_checkpoint(tmp_path: Path) -> None:
    former = {"__class__": "transfer.checkpoint.Checkpoint", "data": RESULT}
    assert readable(written(tmp_path / "record.json", result=former))


def test_a_torn_record_is_none(tmp_path: Path) -> None:
    whole = written(tmp_path / "record.json").read_text()
    for end in range(0, len(whole), 7):
        (tmp_path / "record.json").write_text(whole[:end])
        assert not readable(tmp_path / "record.json")
    assert not readable(tmp_path / "nothing.json")
