"""The layout: order of the rooms, no import cycles, and `transferline` as the only top-level package.

Every import is read from the source: those inside functions and those for type checkers count as well.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "core",
    "data",
    "evaluation",
    "models",
    "training",
    "targets",
    "methods",
    "inference",
    "diagnosis",
    "recipes",
    "tournament",
    "tasks",
    "flows",
    "cli",
)
"""A room imports from itself and from the rooms before it. Tasks, flows and the command line come after the eleven rooms."""
ORCHESTRATORS = {"prefect", "mlflow", "dvc", "prefect_ray", "ray"}
ABOVE_THE_SCIENCE = ("tasks", "flows", "cli")
SERVED_BY_MLFLOW = "transferline.inference.serving"
"""MLflow loads this module and calls it, so it raises MLflow's exception."""


def modules() -> dict[str, Path]:
    """Every module of the package by name, including flows/ and tasks/ through their links."""
    found = {}
    for folder, _, files in os.walk(ROOT / "transferline", followlinks=True):
        for file in files:
            if file.endswith(".py"):
                path = Path(folder) / file
                parts = path.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    """The room of a module, or '' for the package itself and `__main__`, which may import from all rooms."""
    parts = module.split(".")
    return parts[1] if parts[0] == "transferline" and len(parts) > 1 and parts[1] in ROOMS else ""


def imports(path: Path) -> set[str]:
    """Names of all modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names |= {name if name in MODULES else str(node.module) for name in whole}
    return names


IMPORTS = {module: imports(path) for module, path in MODULES.items()}


def test_every_file_lies_in_a_room() -> None:
    assert {module for module in MODULES if not room_of(module)} == {"transferline", "transferline.__main__"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room: str) -> None:
    allowed = {*ROOMS[: ROOMS.index(room) + 1]}
    wrong = [
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        if room_of(module) == room
        for name in sorted(names)
        if room_of(name) and room_of(name) not in allowed
    ]
    assert not wrong


def test_no_two_files_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name in done:
            return
        for other in sorted(IMPORTS[name] & MODULES.keys()):
            # a package's __init__ imports its own files, which is not a cycle by itself
            if not (MODULES[other].name == "__init__.py" and name.startswith(other + ".")):
                visit(other, (*above, name))
        done.add(name)

    for name in MODULES:
        visit(name, ())


def test_the_science_knows_no_orchestrator() -> None:
    wrong = {
        module: used
        for module, names in IMPORTS.items()
        if room_of(module) not in ABOVE_THE_SCIENCE
        and (used := {name.split(".")[0] for name in names} & ORCHESTRATORS)
        and (module, used) != (SERVED_BY_MLFLOW, {"mlflow"})
    }
    assert not wrong


def test_nothing_is_imported_by_a_name_that_teams_have() -> None:
    """`flows`, `tasks` and `transfer` are folders in users' repositories, or other packages."""
    python = [path for part in ("tests", "benchmarks") for path in (ROOT / part).rglob("*.py")]
    for path in [*MODULES.values(), *python]:
        wrong = {name for name in imports(path) if name.split(".")[0] in ("flows", "tasks", "transfer")}
        assert not wrong, f"{path} imports {wrong}"


def test_a_file_name_says_which_file_it_is() -> None:
    times = Counter(path.name for path in MODULES.values() if path.name != "__init__.py")
    assert [name for name, count in times.items() if count > 1] == []


def test_tests_mirror_the_code() -> None:
    """Tests lie in tests/<room>/..., and no other folders of tests exist."""
    besides = {"docs", "browser", "operations", "packaging"}
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert {folder for folder in folders if not folder.endswith(".py")} <= {*ROOMS, *besides}


def test_what_plans_loads_neither_torch_nor_prefect() -> None:
    """These imports take seconds, so functions that need them import them, and `plan` and `--help` stay fast."""
    heavy = ("torch", "transformers", "sklearn", "prefect", "mlflow")
    loaded = "transferline.cli.main, transferline.flows.support.planning, transferline.tasks.support.data_versions"
    code = f"import sys, {loaded}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_are_short() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in lengths.items() if n > 260} == {}


def test_functions_take_at_most_six_positional_arguments() -> None:
    long = []
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
                if len(positional) > 6:
                    long.append(f"{name}.{node.name}: {positional}")
    assert not long


def test_a_type_name_says_which_type_it_is() -> None:
    where: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(name)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                alias = node.targets[0].id
                if alias[0].isupper() and not alias.isupper():  # an alias of a type
                    where.setdefault(alias, []).append(name)
    assert {name: places for name, places in where.items() if len(places) > 1} == {}


@pytest.mark.slow
def test_every_module_can_be_imported_first() -> None:
    """A served model imports single modules: none may depend on an earlier import of another."""
    import importlib

    science = [name for name in MODULES if room_of(name) and room_of(name) not in ABOVE_THE_SCIENCE]
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "transferline"}

    def forget() -> None:
        for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] == "transferline"]:
            del sys.modules[loaded]

    try:
        for name in science:
            if not name.startswith("transferline.models.networks"):  # transformers registers an architecture only once
                forget()
                importlib.import_module(name)
    finally:
        forget()
        sys.modules.update(kept)
