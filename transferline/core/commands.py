"""Run other programs (DVC, git, pip) with a time limit, and end them with all their child processes when it is over."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from transferline.core.errors import InputError
from transferline.core.settings import settings, variable


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a program that has ended."""

    code: int
    out: str
    err: str


def run_command(
    command: Sequence[str],
    what: str,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    told: Callable[[str], None] | None = None,
    hours: float | None = None,
) -> Ended:
    """Run a program to its end. `told` gets each line of its standard error as it comes.

    Raises InputError if it runs longer than `hours` (default: TRANSFERLINE_COMMAND_HOURS). It is then killed with all its child
    processes. `what` names it in that message.
    """
    limit = settings().command_hours if hours is None else hours
    late = threading.Event()
    err: list[str] = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        timer = threading.Timer(3600 * limit, _stop, (late, process.pid))
        timer.daemon = True
        timer.start()
        listener = threading.Thread(target=_listen, args=(process.stderr, err, told), daemon=True)
        listener.start()
        try:
            out = process.stdout.read()
            listener.join()
            process.wait()
        except BaseException:  # Ctrl-C in this process must not leave the program running
            kill_tree(process.pid)
            raise
        finally:
            timer.cancel()
    if late.is_set():
        mend = f"Find out what it waits for (a remote, a password?), or raise {variable('command_hours')}"
        raise InputError(what, f"did not end within {limit:g} hours and was stopped", mend)
    return Ended(process.returncode, out, "".join(err))


def _stop(late: threading.Event, pid: int) -> None:
    late.set()
    kill_tree(pid)


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants."""
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _listen(stream: Iterable[str], lines: list[str], told: Callable[[str], None] | None) -> None:
    for line in stream:
        lines.append(line)
        if told is not None:
            told(line)
