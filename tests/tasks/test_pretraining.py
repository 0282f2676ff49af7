"""Tasks of pretraining: each is cached under the key of its step."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect import Task

from transferline.core.runtime import Runtime
from transferline.methods.objectives import Masked
from transferline.recipes.chain import Step
from transferline.tasks.pretraining import adapt, collect_base, select
from transferline.tasks.support.build_request import Request


@pytest.mark.parametrize(("task", "name"), [(collect_base, "collect base"), (select, "select"), (adapt, "adapt")])
def test_a_task_is_cached_under_its_steps_key(task: Task, name: str, bare: Path) -> None:
    assert task.name == name
    assert task.persist_result
    one, other = (Request(Step("adapt", Masked(tokens=tokens)), {}, Runtime()) for tokens in (1000, 2000))
    on_gpu = Request(one.step, {"corpus": Path("elsewhere")}, Runtime(device="cuda"), "run")
    keys = [task.cache_policy.compute_key(None, {"request": r}, {}) for r in (one, other, on_gpu)]  # type: ignore[union-attr, arg-type]
    assert keys == [f"{one.key}/record.json", f"{other.key}/record.json", f"{one.key}/record.json"]
    assert keys[0] != keys[1]
