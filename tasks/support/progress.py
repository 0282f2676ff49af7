"""Progress of a run on the terminal and in Prefect: one line per step, and progress lines while it runs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from transferline.core.stage import Progress

# without markup: names and texts from params.yaml or from a server are shown as they are
console = Console(
    stderr=True, markup=False, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else 120
)
QUIET_EVERY = 5.0  # seconds between two progress lines without a terminal, where each is a line of a log file
_last: dict[str, float] = {}


def notice(word: str, colour: str, *parts: str | tuple[str, str]) -> None:
    """Print a line that begins with a coloured word. A part is text, or a pair of text and style."""
    console.print(Text.assemble("  ", (f"{word:7}", colour), " ", *parts))


def show_progress(
    what: Progress | str, verb: str = "", key: str = "", summary: Mapping[str, float] | None = None
) -> None:
    """Print the progress of a running step, or the result of a finished one if `what` is its title."""
    if isinstance(what, str):
        colour = "green" if verb == "reused" else "cyan"
        figures = "" if verb == "reused" else "  " + _figures(summary or {})
        notice(verb, colour, f"{what:32} ", (key, "dim"), figures)
        log(f"{verb} {what} {key}{figures}")
        return
    now = time.monotonic()
    every = 0.5 if sys.stderr.isatty() else QUIET_EVERY
    if now - _last.get(what.stage, -math.inf) < every and what.done < what.total:
        return
    _last[what.stage] = now
    console.print(f"          {_line(what)}", end="\r" if sys.stderr.isatty() and what.done < what.total else "\n")


def log(text: str) -> None:
    """Log a message to the current Prefect run. Outside a run nothing is logged."""
    from prefect.exceptions import MissingContextError
    from prefect.logging import get_run_logger

    try:
        get_run_logger().info(text)
    except MissingContextError:  # called as a plain function
        return


class ProgressArtifact:
    """Progress bar of a long stage in the Prefect UI."""

    STEP = 10.0  # percent between two updates: each update is a request to the server

    def __init__(self, title: str) -> None:
        self.title, self.shown = title, 0.0
        self.id: Any = None

    def show(self, progress: Progress) -> None:
        """Create the bar, or move it if the progress has grown by `STEP` percent."""
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        share = 100 * progress.done / max(progress.total, 1)
        if self.id is None:
            self.id = create_progress_artifact(share, description=self.title)
        elif share - self.shown >= self.STEP or share >= 100:
            update_progress_artifact(self.id, share)
        else:
            return
        self.shown = share


def _line(progress: Progress) -> str:
    share = 100 * progress.done / max(progress.total, 1)
    left = f"{_duration(progress.left)} left" if math.isfinite(progress.left) and progress.done < progress.total else ""
    speed = f"{progress.metrics['tokens_per_second']:,.0f} tokens/s" if "tokens_per_second" in progress.metrics else ""
    shown = {k: v for k, v in progress.metrics.items() if k in _SHOWN}
    parts = [f"{progress.stage}", f"{share:3.0f} %", f"{progress.done:g}/{progress.total:g} {progress.unit}"]
    return "  ".join(part for part in (*parts, speed, _figures(shown), left) if part)


_SHOWN = ("loss", "validation_accuracy", "validation_loss", "tokens")


def _figures(figures: Mapping[str, float]) -> str:
    return " ".join(f"{name}={_number(value)}" for name, value in figures.items() if name != "score")


def _number(value: float) -> str:
    if float(value).is_integer() and abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
