"""The shipped prefect.yaml can be read, and every flow that it names exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import SOURCE
from transferline.recipes.params import load_params
from transferline.tasks.support.deployments import _load, declared


def test_every_deployment_names_a_flow_and_only_flows_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(SOURCE))
    found = {one.entrypoint: _load(one.entrypoint).name for one in declared(load_params(Path(SOURCE) / "params.yaml"))}
    assert {
        "retrain",
        "retrain-all",
        "compare",
        "matrix",
        "diagnose",
        "audit",
        "watch",
        "rollback",
        "predict",
        "tend",
    } <= set(found.values())
