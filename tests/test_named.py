"""Every module of flows/ and tasks/ is named by a test."""

from __future__ import annotations

import pytest

from tests.test_layout import MODULES, ROOT, imports

FOLDERS = ("flows", "tasks", "operations", "cli")
"""Folders whose tests may name a module of flows/ or tasks/."""
NAMED = {name for folder in FOLDERS for path in (ROOT / "tests" / folder).rglob("test_*.py") for name in imports(path)}
ORCHESTRATING = [
    name
    for name, path in sorted(MODULES.items())
    if name.startswith(("transferline.flows.", "transferline.tasks.")) and path.name != "__init__.py"
]


def test_there_are_modules_to_name() -> None:
    assert len(ORCHESTRATING) > 50
    assert "transferline.flows.retrain" in ORCHESTRATING


@pytest.mark.parametrize("module", ORCHESTRATING)
def test_a_module_is_imported_by_a_test(module: str) -> None:
    assert module in NAMED, f"no test in {', '.join(f'tests/{folder}' for folder in FOLDERS)} imports {module}"


def test_tests_of_flows_and_tasks_lie_where_their_module_lies() -> None:
    """tests/flows/support/test_planning.py tests flows/support/planning.py; tests of several modules lie in tests/flows."""
    whole = {"kill", "kill_at_calls", "kinds", "placement", "sources"}  # the whole line as a user runs it
    for part in ("flows", "tasks"):
        for path in (ROOT / "tests" / part).rglob("test_*.py"):
            name = path.stem.removeprefix("test_")
            mirrored = (ROOT / path.relative_to(ROOT / "tests")).with_name(f"{name}.py")
            assert mirrored.is_file() or name in whole, f"{path} mirrors no module"
