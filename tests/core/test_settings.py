"""Laws of core/settings.py: it is the only reader of the environment, and its documentation is the page's."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_layout import MODULES, ROOT
from transferline.core.environment import restored, variables
from transferline.core.errors import InputError
from transferline.core.settings import (
    PAGE,
    Settings,
    given,
    inherited,
    page_with_tables,
    passed_on,
    settings,
    unknown,
    variable,
)

NAMES = [variable(field) for field in Settings.model_fields]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *(name for name in os.environ if name.startswith("TRANSFERLINE_"))):
        monkeypatch.delenv(name, raising=False)


def test_defaults() -> None:
    found = settings()
    assert (found.root, found.store, found.offline, found.placement) == (None, None, False, "local")
    assert (found.most_starts, found.patience, found.approval_hours, found.gpus_per_stage) == (3, 900.0, 72.0, 1.0)
    assert found.keep_memory
    assert not found.model_fields_set


def test_the_environment_is_read_at_the_time_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_PATIENCE", "1.5")
    monkeypatch.setenv("TRANSFERLINE_ROOT", "/project")
    first = settings()
    monkeypatch.setenv("TRANSFERLINE_PATIENCE", "2")
    assert (first.patience, settings().patience, first.root) == (1.5, 2.0, Path("/project"))


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("false", False)]
)
def test_switches(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_KEEP_MEMORY", text)
    monkeypatch.setenv("TRANSFERLINE_SHARDED", text)
    assert (settings().keep_memory, settings().sharded) == (value, value)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("TRANSFERLINE_")])
def test_an_empty_variable_is_an_unset_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, " ")
    assert settings() == Settings()


def test_no_visible_device_is_not_the_same_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert settings().cuda_visible_devices == ""


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRANSFERLINE_PATIENCE", "abc", "a number, 0 or more"),
        ("TRANSFERLINE_PATIENCE", "-1", "a number, 0 or more"),
        ("TRANSFERLINE_PATIENCE", "inf", "a number, 0 or more"),
        ("TRANSFERLINE_APPROVAL_HOURS", "nan", "a number above 0"),
        ("TRANSFERLINE_GPUS_PER_STAGE", "0", "a number above 0"),
        ("TRANSFERLINE_PLACEMENT", "moon", "local, workers or ray"),
        ("TRANSFERLINE_MOST_STARTS", "0", "a whole number, 1 or more"),
        ("TRANSFERLINE_MOST_STARTS", "2.5", "a whole number, 1 or more"),
        ("TRANSFERLINE_PROCESSES", "two", "a whole number, 1 or more"),
        ("TRANSFERLINE_OFFLINE", "yes", "1, true, 0 or false"),
        ("TRANSFERLINE_COMPILE", "2", "1, true, 0 or false"),
        ("TRANSFERLINE_GPU_SLOTS", "0,,1", "a number of devices, or their names with commas between"),
    ],
)
def test_a_wrong_value_is_named_with_its_mend(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        settings()
    assert str(caught.value) == f"{name}: {value!r} is not {expected}. Set it to {expected}, or unset it"


def test_a_misspelt_name_is_warned_of_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unknown() == []
    monkeypatch.setenv("TRANSFERLINE_PATIENC", "3")
    monkeypatch.setenv("TRANSFERLINE_XQJ", "3")
    monkeypatch.setenv("TRANSFERLINE_STORE", "here")
    assert [line.partition("; ")[::2] for line in unknown()] == [
        ("TRANSFERLINE_PATIENC is set, but there is no such setting", "did you mean TRANSFERLINE_PATIENCE?"),
        ("TRANSFERLINE_XQJ is set, but there is no such setting", "docs/reference.md lists the variables"),
    ]


def test_environments_of_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_STORE", "s3://bucket/line")
    monkeypatch.setenv("AWS_REGION", "somewhere")
    monkeypatch.setenv("UNRELATED", "1")
    child, away = inherited(root="/project", tended=True), passed_on(placement="ray")
    shared = {"TRANSFERLINE_STORE": "s3://bucket/line", "AWS_REGION": "somewhere"}
    changed = {"TRANSFERLINE_ROOT": "/project", "TRANSFERLINE_TENDED": "1", "PATH": child["PATH"]}
    assert child == {**os.environ, **changed}
    assert child["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert away.items() >= {**shared, "TRANSFERLINE_PLACEMENT": "ray"}.items()
    assert "UNRELATED" not in away
    assert given("store", "placement") == {"TRANSFERLINE_STORE": "s3://bucket/line"}
    assert "TRANSFERLINE_ROOT" not in os.environ
    with pytest.raises(AssertionError):
        inherited(no_such_field="1")


def test_variables_are_set_for_a_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SWITCH", "before")
    with variables({"A_SWITCH": None, "ANOTHER": "2"}):
        assert "A_SWITCH" not in os.environ
        assert os.environ["ANOTHER"] == "2"
    assert os.environ["A_SWITCH"] == "before"
    with pytest.raises(KeyError), variables({"A_SWITCH": "3"}):
        raise KeyError
    with restored("A_SWITCH", "ANOTHER"):
        os.environ.update({"A_SWITCH": "x", "ANOTHER": "y"})
    assert os.environ["A_SWITCH"] == "before"
    assert "ANOTHER" not in os.environ


def test_the_page_documents_every_variable_and_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page_with_tables(page) == page, "run `python -m transferline.core.settings`"
    assert [name for name in NAMES if f"| {name} |" not in page] == []


def test_every_variable_named_in_docs_and_code_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *MODULES.values()]
    found = {name for page in pages for name in re.findall(r"TRANSFERLINE_[A-Z_]+\b", page.read_text(encoding="utf-8"))}
    assert {name for name in found if name != "TRANSFERLINE_"} <= set(NAMES)


def test_only_two_files_touch_the_environment() -> None:
    """core/settings.py reads it; core/environment.py sets switches of libraries."""
    allowed = {"transferline.core.settings", "transferline.core.environment"}
    wrong = {}
    for module, path in MODULES.items():
        touched = [node.lineno for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if touches(node)]
        if touched and module not in allowed:
            wrong[module] = touched
    assert wrong == {}


def touches(node: ast.AST) -> bool:
    """Whether a node is os.environ, os.getenv and the like, or imports one of them."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(alias.name in names for alias in node.names)
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in names
    )


def test_reading_settings_loads_no_heavy_library() -> None:
    heavy = ("torch", "transformers", "sklearn", "prefect", "mlflow", "dvc")
    code = f"import sys, transferline.core.settings as s; s.settings(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
