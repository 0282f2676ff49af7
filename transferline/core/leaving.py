"""Leave in good order: a process that is told to end lets its trainings save their state first.

A machine that is taken away sends SIGTERM, and SIGKILL half a minute later. A training that is told so saves after its step,
and so loses nothing.
"""

from __future__ import annotations

import threading

GRACE = 25.0  # seconds that trainings have to save; Kubernetes sends SIGKILL 30 seconds after SIGTERM
LEFT = 4  # exit code of a process that was told to end and has saved its state
_leaving = threading.Event()


class Leaving(BaseException):
    """A training has saved its state, because the process is told to end. No error: handlers of errors let it pass."""


def leave() -> None:
    """Tell every training in this process to save its state and end."""
    _leaving.set()


def is_leaving() -> bool:
    """Whether the process is told to end."""
    return _leaving.is_set()


def stay() -> None:
    """Take `leave` back, once the trainings have ended."""
    _leaving.clear()
