"""A checkpoint is logged with its input form, its requirements and the code that serves it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from transferline.data.input_form import InputForm
from transferline.tasks.support.mlflow_model import REQUIREMENTS, _code, pinned, weights_of, with_form


def test_a_form_is_laid_beside_a_checkpoint_that_stays_as_it_is(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "tune-1", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    form = InputForm("single-label", html=True, pair=True)
    made = with_form(folder, form, scratch)
    assert InputForm.load(made) == form
    assert (made / "model.safetensors").read_bytes() == b"weights"
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]


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
    assert all("+" not in line for line in pinned(REQUIREMENTS))  # `2.13.0+cpu` is on no index


def test_the_code_that_travels_is_what_serving_needs(tmp_path: Path) -> None:
    code = _code(tmp_path)
    assert code.name == "transferline"
    assert {"inference", "models", "core", "targets"} <= {path.name for path in code.iterdir()}
    assert not {"flows", "tasks", "cli", "tournament", "diagnosis"} & {path.name for path in code.iterdir()}
    assert list(code.rglob("*.pyc")) == []
