"""Buffer MLflow calls while the tracking server is down, and replay them later.

While the server responds, every entry is sent immediately. Otherwise entries are appended to a file of this process in the
store's .outbox, and the stage goes on. They are sent in order with the next entry after the server is back, at the end of
the run, or at the start of the next run. A run that the server could not create has a provisional id until then.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil

from transferline.core.errors import InputError
from transferline.core.project import store
from transferline.core.settings import settings
from transferline.tasks.support.progress import notice

PENDING = "pending-"
REST = 10.0  # seconds without requests after a failed one, so that a stage does not wait for a timeout at every entry
Answer = TypeVar("Answer")
_away_until = 0.0


def folder() -> Path:
    """Folder of the buffered entries; created if missing."""
    place = store() / ".outbox"
    place.mkdir(parents=True, exist_ok=True)
    return place


def patience() -> float:
    """Seconds to wait for a server where there is no going on without it: TRANSFERLINE_PATIENCE, 15 minutes by default."""
    return settings().patience


def is_away(error: Exception) -> bool:
    """Whether an error means that the server cannot be reached now, False if the server refused the request."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    if isinstance(error, NoConnection | Timeout | ConnectionError):
        return True
    text = str(error)
    if "database is locked" in text:  # sqlite with many writers on a slow disk: temporary, like an unreachable server
        return True
    # MLflow wraps connection errors and HTTP codes into one exception class; only the text tells them from a refusal
    failed = "failed with exception" in text or any(f"error code {code}" in text for code in (429, 502, 503, 504))
    return isinstance(error, MlflowException) and failed


def patiently(call: Callable[[], Answer], what: str) -> Answer:
    """Call the tracking server, and retry while it is unreachable. Raises InputError after `patience()` seconds."""
    deadline = time.monotonic() + patience()
    announced = False
    while True:
        try:
            return call()
        except Exception as error:
            if not is_away(error):
                raise
            if time.monotonic() > deadline:
                found = (
                    f"does not answer after {patience():g} seconds, and {what} needs it ({str(error).splitlines()[0]})"
                )
                mend = "Start it and run again: finished stages are reused. TRANSFERLINE_PATIENCE sets how long to wait"
                raise InputError("the tracking server", found, mend) from error
            if not announced:
                notice("waiting", "yellow", f"the tracking server does not answer; {what} waits for it")
                announced = True
            time.sleep(min(5.0, REST))


def create(client: Any, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    """Create a run. Returns its id, which is provisional while the server is unreachable."""
    local = f"{PENDING}{uuid.uuid4().hex}"
    # the time of now: the server would otherwise record the time at which it is back
    entry = {"do": "create", "run": local, "experiment": experiment, "name": name, "tags": dict(tags)}
    send(client, {**entry, "time": int(1000 * time.time())})
    return real_id(local)


def send(client: Any, entry: dict[str, Any]) -> None:
    """Send buffered entries and then this one. If the server is unreachable, buffer this one too."""
    global _away_until
    buffer = _file()
    if time.monotonic() >= _away_until:
        try:
            _send_file(client, buffer)  # buffered entries first: the order of entries is kept
            _perform(client, entry)
            return
        except Exception as error:
            if not is_away(error):
                raise
            _away_until = time.monotonic() + REST
            notice("waiting", "yellow", "the tracking server does not answer; the run goes on, its logs are sent later")
    with buffer.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def drain(client: Any, wait: bool = False) -> bool:
    """Send the entries that this process and dead processes have buffered. Returns whether all were sent.

    With `wait`, retries for `patience()` seconds while the server is unreachable.
    """
    global _away_until
    deadline = time.monotonic() + (patience() if wait else 0)
    while True:
        try:
            for file in sorted(folder().glob("*.jsonl")):
                # a living process sends its own file, in its own order
                if file == _file() or not _alive(file):
                    _send_file(client, file)
            _away_until = 0.0
            return True
        except Exception as error:
            if not is_away(error):
                raise
            if time.monotonic() >= deadline:
                return False
            time.sleep(2.0)


def real_id(run: str) -> str:
    """The server's id for a provisional id. Returns the argument if the server has not created the run yet."""
    known = folder() / "ids" / run
    return known.read_text(encoding="utf-8") if run.startswith(PENDING) and known.exists() else run


def _perform(client: Any, entry: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    run = real_id(entry["run"])
    match entry["do"]:
        case "create":
            if run != entry["run"]:
                return  # already created: the process died between the request and the removal of the entry
            tags = {name: real_id(value) for name, value in entry["tags"].items()}
            made = client.create_run(entry["experiment"], start_time=entry["time"], tags=tags, run_name=entry["name"])
            place = folder() / "ids" / entry["run"]
            place.parent.mkdir(exist_ok=True)
            place.write_text(made.info.run_id, encoding="utf-8")
        case "batch":
            points = [Metric(name, value, at, step) for name, value, at, step in entry["metrics"]]
            for start in range(0, max(1, len(points)), 1000):  # MLflow accepts at most 1,000 metrics in a batch
                named = [Param(name, value) for name, value in entry["parameters"].items()] if start == 0 else []
                client.log_batch(run, points[start : start + 1000], named)
        case "tags":
            for name, value in entry["tags"].items():
                client.set_tag(run, name, value)
        case "file":
            client.log_artifact(run, entry["path"], entry["to"])
            shutil.rmtree(Path(entry["path"]).parent, ignore_errors=True)
        case "dataset":
            client.log_inputs(run, [_dataset(entry)])
        case "end":
            client.set_terminated(run, entry["status"], entry["time"])


def _dataset(entry: Mapping[str, Any]) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(Dataset(**entry["dataset"]), [InputTag(name, value) for name, value in entry["tags"].items()])


def _send_file(client: Any, file: Path) -> None:
    """Send a file's entries in order. If the server is away the rest stays in the file, so that none is sent twice.

    An entry that can never be sent is dropped with a notice: it must not stop this run and all later ones.
    """
    dropped: list[str] = []
    while file.exists():
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines):
            try:
                _perform(client, json.loads(line))
            except Exception as error:
                if not is_away(error):
                    dropped.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
                    continue
                # write the rest beside the file and rename: a kill here leaves a complete file
                rest = file.with_suffix(".part")
                rest.write_text("".join(f"{left}\n" for left in lines[number:]), encoding="utf-8")
                rest.replace(file)
                raise
        file.unlink()
    if dropped:
        notice("dropped", "yellow", f"{len(dropped)} log entries that the tracking server cannot take ({dropped[0]})")


def _file() -> Path:
    return folder() / f"{os.uname().nodename}-{os.getpid()}.jsonl"


def _alive(file: Path) -> bool:
    """Whether the process that writes a file may still live. On another machine that cannot be checked."""
    host, pid = file.stem.rsplit("-", 1)
    return host != os.uname().nodename or psutil.pid_exists(int(pid))
