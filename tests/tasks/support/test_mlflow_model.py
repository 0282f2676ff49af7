"""Which checkpoints MLflow serves alone, and which code travels with the others."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.kinds import QUICK, build
from tests.recording import record
from transferline.data.rows import FILE as ROWS
from transferline.methods.parameter import Full
from transferline.models.prefix_tuning import CONFIG as PREFIX
from transferline.models.tokenization import FILE as READING
from transferline.tasks.support import mlflow_model
from transferline.tasks.support.mlflow_model import OURS, _code, is_plain, pinned, weights_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "plain"),
    [("single-label", True), ("multi-label", True), ("regression", True), ("tokens", False), ("generation", False)],
)
def test_classification_and_regression_are_served_by_mlflow_alone(
    kind: str, plain: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, mlflow_model, "kind_of_model", kind)
    assert is_plain(folder, pair=False) == plain
    assert not is_plain(folder, pair=True)  # its pipeline takes one text


@pytest.mark.parametrize("name", [READING, PREFIX])
def test_a_model_with_rules_of_its_own_is_served_by_our_code(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, mlflow_model, "kind_of_model", "single-label")
    (folder / name).write_text("{}")
    assert not is_plain(folder, pair=False)


def test_an_architecture_of_ours_is_served_by_our_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch, mlflow_model, "kind_of_model", "single-label")
    (folder / "config.json").write_text(json.dumps({"model_type": "transferline-static"}))
    assert not is_plain(folder, pair=False)


def test_a_model_that_was_really_tuned_is_plain(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(Full(**{**QUICK, "epochs": 1}), kinds["single-label"], tmp_path / "t", tiny)
    assert is_plain(out, pair=False)
    assert not (out / ROWS).exists()


def test_weights_are_found_where_either_flavour_puts_them(tmp_path: Path) -> None:
    for name in (
        "model/model.safetensors",
        "data/tune-1/model.safetensors",
        "components/x.safetensors",
        "model/config.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {path.relative_to(tmp_path).as_posix() for path in weights_of(tmp_path)}
    assert found == {"model/model.safetensors", "data/tune-1/model.safetensors"}


def test_requirements_are_pinned_to_releases_that_an_index_has() -> None:
    assert pinned(["pydantic"]) == [f"pydantic=={version('pydantic')}"]
    assert all("+" not in line for line in pinned(OURS))  # `2.13.0+cpu` is on no index


def test_the_code_that_travels_is_what_serving_needs(tmp_path: Path) -> None:
    code = _code(tmp_path)
    assert code.name == "transferline"
    assert {"inference", "models", "core", "targets"} <= {path.name for path in code.iterdir()}
    assert not {"flows", "tasks", "cli", "tournament", "diagnosis"} & {path.name for path in code.iterdir()}
    assert list(code.rglob("*.pyc")) == []
