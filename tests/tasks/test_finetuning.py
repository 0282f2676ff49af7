"""Tasks of fine-tuning: each is cached under the key of its step, and controls apart from the tuned model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prefect import Task

from tests.tasks.support.test_commit_marks import written
from transferline.core.checkpoint import LINEAGE, RECORD
from transferline.core.runtime import Runtime
from transferline.methods.parameter import Probe
from transferline.recipes.chain import Step
from transferline.tasks.finetuning import control, tune
from transferline.tasks.support.build_request import Request

TASKS = [(tune, "tune"), (control, "control")]


def request(kind: str, seed: int = 0) -> Request:
    return Request(Step(kind, Probe(), (), (), seed), {}, Runtime())  # type: ignore[arg-type]


def key_of(task: Task, wanted: Request) -> str | None:
    return task.cache_policy.compute_key(None, {"request": wanted}, {})  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(("task", "name"), TASKS)
def test_seeds_are_cached_apart(task: Task, name: str, bare: Path) -> None:
    assert task.name == name
    keys = [key_of(task, request(name, seed)) for seed in (0, 1, 0)]
    assert keys[0] == keys[2] == f"{request(name).key}/{RECORD}"
    assert keys[0] != keys[1]


@pytest.mark.parametrize(("task", "name"), TASKS)
def test_a_record_beside_altered_files_is_removed(task: Task, name: str, bare: Path) -> None:
    folder = bare / "store" / request(name).key
    folder.mkdir(parents=True)
    (folder / LINEAGE).write_text(json.dumps({"digest": "of other files"}))
    written(folder / RECORD)
    key_of(task, request(name))
    assert not (folder / RECORD).exists()
