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
from functools import partial
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


def close_dead_runs(client: Any) -> int:
    """Mark the unfinished runs of dead processes as KILLED, in all experiments. Returns their number."""
    ids = [one.experiment_id for one in _pages(lambda page: client.search_experiments(page_token=page))]
    closed = 0
    for first in range(0, len(ids), 100):
        some = ids[first : first + 100]
        for run in _pages(partial(_unfinished, client, some)):
            if is_dead(run.data.tags):
                client.set_terminated(run.info.run_id, "KILLED")
                closed += 1
    return closed


def _unfinished(client: Any, experiments: list[str], page: str | None) -> Any:
    owned = f"attributes.status = 'RUNNING' and tags.`{HOST}` like '%'"
    return client.search_runs(experiments, owned, page_token=page)


def _pages(ask: Callable[[str | None], Any]) -> list[Any]:
    """All answers of a search that MLflow gives page by page."""
    found, page = list(answer := ask(None)), answer.token
    while page:
        found, page = [*found, *(answer := ask(page))], answer.token
    return found


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
