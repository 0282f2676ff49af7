"""Programs with a time limit: their output is whole, and nothing of them outlives the limit."""

from __future__ import annotations

import sys
import time

import psutil
import pytest

from transferline.core.commands import run_command
from transferline.core.errors import InputError

SLEEPER = "import subprocess, sys; print('up', file=sys.stderr, flush=True); subprocess.run(['sleep', '600'])"


def test_code_and_both_outputs_come_back_whole() -> None:
    big = "import sys; print('o' * 300_000); print('e' * 300_000, file=sys.stderr); sys.exit(7)"
    lines: list[str] = []
    done = run_command([sys.executable, "-c", big], "a program", told=lines.append)
    assert (done.code, len(done.out), len(done.err)) == (7, 300_001, 300_001)
    assert "".join(lines) == done.err


def test_a_program_over_its_limit_is_ended_with_its_children() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    start = time.monotonic()
    with pytest.raises(InputError, match=r"dvc repro: did not end within .* hours.*TRANSFERLINE_COMMAND_HOURS"):
        run_command([sys.executable, "-c", SLEEPER], "dvc repro", hours=1.5 / 3600)
    assert time.monotonic() - start < 60
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_the_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_COMMAND_HOURS", "0.0003")
    with pytest.raises(InputError, match=r"0\.0003 hours"):
        run_command(["sleep", "600"], "sleep")
