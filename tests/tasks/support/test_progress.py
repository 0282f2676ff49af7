"""Progress on the terminal and on the page of a run."""

from __future__ import annotations

import io
import math
from typing import Any

import prefect.artifacts
import pytest
from rich.console import Console

from tests.recording import record
from transferline.core.stage import Progress
from transferline.tasks.support import progress
from transferline.tasks.support.progress import ProgressArtifact, log, show_progress


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the console prints."""
    text = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=text, width=200, highlight=False))
    monkeypatch.setattr(progress, "_last", {})
    return text


def at(done: float, rate: float = 0.0, total: float = 100, **metrics: float) -> Progress:
    return Progress("tune", done, total, "steps", rate, metrics)


def test_a_finished_step_is_shown_with_its_figures_and_a_reused_one_without(shown: io.StringIO) -> None:
    show_progress("challenger full seed 0", "built", "tune-1", {"loss": 0.51234, "rows": 12345.0, "score": 0.9})
    show_progress("challenger full seed 1", "reused", "tune-2", {"loss": 0.5})
    built, reused = shown.getvalue().splitlines()
    assert built.split() == ["built", "challenger", "full", "seed", "0", "tune-1", "loss=0.512", "rows=12,345"]
    assert reused.split() == ["reused", "challenger", "full", "seed", "1", "tune-2"]


def test_a_running_step_is_shown_every_few_seconds_and_at_its_end(
    shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    for done in range(0, 101, 10):  # a second each
        show_progress(at(done))
        now += 1.0
    assert [line.split()[1] for line in shown.getvalue().splitlines()] == ["0", "50", "100"]


def test_a_line_says_share_speed_loss_and_what_is_left(shown: io.StringIO) -> None:
    show_progress(at(25, 0.5, loss=0.25, tokens_per_second=12345.6, secret=1.0))
    assert shown.getvalue().strip() == "tune   25 %  25/100 steps  12,346 tokens/s  loss=0.250  2 min left"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (3.0, "3.000"), (10.0, "10"), (0.1, "0.100"), (0.01234, "0.012")]
)
def test_numbers(value: float, text: str) -> None:
    assert progress._number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min")])
def test_durations(seconds: float, text: str) -> None:
    assert progress._duration(seconds) == text


def test_an_unknown_rate_promises_no_end() -> None:
    assert not math.isfinite(at(1).left)
    assert "left" not in progress._line(at(1))


def test_logging_outside_of_a_run_is_no_error() -> None:
    log("a word")


def test_the_bar_moves_in_steps_and_reaches_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = record(monkeypatch, prefect.artifacts, "create_progress_artifact", "id")
    moved = record(monkeypatch, prefect.artifacts, "update_progress_artifact")
    bar: Any = ProgressArtifact("tune")
    for done in (1, 5, 9, 12, 25, 99, 100):
        bar.show(at(done))
    assert made.only == ((1.0,), {"description": "tune"})
    assert [args for args, _ in moved.calls] == [("id", 12.0), ("id", 25.0), ("id", 99.0), ("id", 100.0)]
