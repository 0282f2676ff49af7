"""Owners of MLflow runs: which process computes a run, and whether it still lives.

A killed process cannot end its run. The next run of any target closes the runs whose owner is dead. On its own machine a process
is looked up by number and start time, because numbers are used again. A process of another machine counts as dead when it has
sent no heartbeat for SILENCE seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil

HOST, PID, STARTED, BEAT = (f"transferline.{name}" for name in ("host", "pid", "started", "heartbeat"))
EVERY = 60.0  # seconds between heartbeats
SILENCE = 3600.0  # seconds: longer than a server may be away (TRANSFERLINE_PATIENCE) and than clocks of machines differ


def owner_tags() -> dict[str, str]:
    """Tags that name this process as the owner of a run."""
    started = psutil.Process().create_time()
    return {HOST: os.uname().nodename, PID: str(os.getpid()), STARTED: f"{started:.2f}", BEAT: f"{time.time():.0f}"}


def is_dead(tags: Mapping[str, str], now: float | None = None) -> bool:
    """Whether the owner of a run is dead. Runs without an owner, which other programs made, never are."""
    if not tags.get(PID, "").isdecimal() or HOST not in tags:
        return False
    if tags[HOST] != os.uname().nodename:
        beat = tags.get(BEAT, "")
        return beat.isdecimal() and (now or time.time()) - int(beat) > SILENCE
    try:
        started = psutil.Process(int(tags[PID])).create_time()
    except psutil.NoSuchProcess:
        return True
    # a run without a start time is of an earlier release: its number must do
    return STARTED in tags and abs(started - float(tags[STARTED])) > 1.0


class Heartbeat:
    """Calls `beat` with the time in a thread of its own, every EVERY seconds until `stop`."""

    def __init__(self, beat: Callable[[dict[str, str]], Any]) -> None:
        self._ended = threading.Event()
        self._beat = beat
        threading.Thread(target=self._run, daemon=True, name="heartbeat").start()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            self._beat({BEAT: f"{time.time():.0f}"})

    def stop(self) -> None:
        self._ended.set()
