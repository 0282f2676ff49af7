"""The command's start: settings are checked first, and misspelt ones are warned of once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.test_layout import ROOT


def command(*words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """`transferline WORDS` with some variables set."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRANSFERLINE_")}
    line = [sys.executable, "-m", "transferline", *words]
    return subprocess.run(line, cwd=ROOT, env={**clean, **extra}, capture_output=True, text=True, check=False)


def test_a_misspelt_variable_is_warned_of_once_and_changes_nothing_else() -> None:
    plain, warned = command("targets"), command("targets", TRANSFERLINE_PLACMENT="ray")
    assert warned.returncode == plain.returncode == 0
    assert warned.stdout == plain.stdout
    assert (
        warned.stderr.splitlines().count(
            "transferline: TRANSFERLINE_PLACMENT is set, but there is no such setting; did you mean TRANSFERLINE_PLACEMENT?"
        )
        == 1
    )
    assert "no such setting" not in plain.stderr


def test_a_command_that_a_run_has_started_does_not_warn_again() -> None:
    assert (
        "no such setting"
        not in command("targets", TRANSFERLINE_PLACMENT="ray", TRANSFERLINE_PARENT=str(os.getpid())).stderr
    )


@pytest.mark.parametrize(("name", "value"), [("TRANSFERLINE_PATIENCE", "abc"), ("TRANSFERLINE_MOST_STARTS", "0")])
def test_a_wrong_value_ends_any_command_as_bad_input(name: str, value: str) -> None:
    done = command("targets", **{name: value})
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"transferline: {name}: {value!r} is not a" in done.stderr
    assert "Traceback" not in done.stderr
