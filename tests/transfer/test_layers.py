"""flows -> tasks -> transfer, and nothing points back up."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("transfer", "tasks", "flows")
FORBIDDEN = {"transfer": {"prefect", "mlflow", "dvc", "tasks", "flows"}, "tasks": {"flows"}, "flows": set()}


def modules() -> dict[str, Path]:
    found = {}
    for layer in LAYERS:
        for path in (ROOT / layer).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, everywhere: bool = True) -> set[str]:
    """Names that a file imports; `everywhere`: inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if everywhere else iter(tree.body)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_imports_what_it_must_not(layer: str) -> None:
    for name, path in modules().items():
        if name.split(".")[0] == layer:
            wrong = {i for i in imports(path) if i.split(".")[0] in FORBIDDEN[layer]}
            assert not wrong, f"{name} imports {sorted(wrong)}"


def test_no_two_files_import_each_other_in_a_loop() -> None:
    known = modules()
    graph = {
        name: {i for i in imports(path, everywhere=False) if i in known and i != name} for name, path in known.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for other in graph[name]:
                # a package's __init__ lists its own files: that is its purpose, and no loop by itself
                if not (known[other].name == "__init__.py" and name.startswith(other + ".")):
                    visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_what_plans_loads_neither_torch_nor_prefect() -> None:
    """`plan` and every command's start would pay seconds for it; what computes imports it where it computes."""
    heavy = ("torch", "transformers", "sklearn", "prefect", "mlflow")
    code = f"import sys, flows.cli, flows.planning, tasks.versions; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_files_are_short() -> None:
    long = {
        name: n for name, path in modules().items() if (n := len(path.read_text(encoding="utf-8").splitlines())) > 260
    }
    assert not long


def test_every_module_can_be_imported_first() -> None:
    """A served model imports from the middle: no module may need another to have been imported before it."""
    import importlib
    import sys

    names = [name for name in modules() if name.split(".")[0] == "transfer"]
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "transfer"}
    try:
        for name in names:
            if name.startswith("transfer.networks"):
                continue  # they register themselves with transformers, which takes it once
            for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] == "transfer"]:
                del sys.modules[loaded]
            importlib.import_module(name)
    finally:
        for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] == "transfer"]:
            del sys.modules[loaded]
        sys.modules.update(kept)
