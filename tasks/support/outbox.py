"""What could not be logged is logged when the tracking server is back.

Stages log through here. While the server answers, every entry is sent at once. When it does not, entries are appended to a file
of this process under the store's .outbox, and the stage goes on; they are sent in their order with the next entry
after the server is back, at the end of the run, or at the start of the next one. A run that the server could not create has a
provisional id until then.
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

from transferline.core.project import store
from transferline.core.settings import settings
from transferline.tasks.support.progress import console

PENDING = "pending-"
REST = 10.0  # seconds during which a server that did not answer is not asked again
Result = TypeVar("Result")
_away_until = 0.0


def folder() -> Path:
    place = store() / ".outbox"
    place.mkdir(parents=True, exist_ok=True)
    return place


def patience() -> float:
    """Seconds to wait for a server where there is no going on without it: TRANSFERLINE_PATIENCE, 15 minutes by default."""
    return settings().patience


def is_away(error: Exception) -> bool:
    """Whether an error means that the server cannot be reached now, and not that it refused."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    if isinstance(error, NoConnection | Timeout | ConnectionError):
        return True
    text = str(error)
    if "database is locked" in text:  # sqlite with many writers on a slow disk: as good as away, and as passing
        return True
    failed = "failed with exception" in text or any(f"error code {code}" in text for code in (429, 502, 503, 504))
    return isinstance(error, MlflowException) and failed


def patiently(call: Callable[[], Result], what: str) -> Result:
    """The result of a call to the tracking server, tried again while it is away, for `patience()` seconds at most."""
    deadline = time.monotonic() + patience()
    told = False
    while True:
        try:
            return call()
        except Exception as error:
            if not is_away(error) or time.monotonic() > deadline:
                raise
            if not told:
                console.print(f"  [yellow]waiting[/] the tracking server does not answer; {what} waits for it")
                told = True
            time.sleep(min(5.0, REST))


def create(client: Any, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    """A new run's id, provisional where the server is away."""
    local = f"{PENDING}{uuid.uuid4().hex}"
    entry = {"do": "create", "run": local, "experiment": experiment, "name": name, "tags": dict(tags)}
    send(client, {**entry, "time": int(1000 * time.time())})
    return real_id(local)


def send(client: Any, entry: dict[str, Any]) -> None:
    """Send an entry now, after whatever waits before it; or leave it with that."""
    global _away_until
    mine = _file()
    if time.monotonic() >= _away_until:
        try:
            _send_file(client, mine)
            _perform(client, entry)
            return
        except Exception as error:
            if not is_away(error):
                raise
            _away_until = time.monotonic() + REST
            console.print(
                "  [yellow]waiting[/] the tracking server does not answer; the run goes on, logs follow later"
            )
    with mine.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def drain(client: Any, wait: bool = False) -> bool:
    """Send what this process and dead ones have left; `wait`: for a server that is away. Whether nothing is left."""
    global _away_until
    deadline = time.monotonic() + (patience() if wait else 0)
    while True:
        try:
            for file in sorted(folder().glob("*.jsonl")):
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
    """The server's id of a run that had a provisional one; itself where it has none yet."""
    known = folder() / "ids" / run
    return known.read_text(encoding="utf-8") if run.startswith(PENDING) and known.exists() else run


def _perform(client: Any, entry: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    run = real_id(entry["run"])
    match entry["do"]:
        case "create":
            if run != entry["run"]:
                return  # sent before, and the process died before it could say so
            tags = {name: real_id(value) for name, value in entry["tags"].items()}
            made = client.create_run(entry["experiment"], start_time=entry["time"], tags=tags, run_name=entry["name"])
            place = folder() / "ids" / entry["run"]
            place.parent.mkdir(exist_ok=True)
            place.write_text(made.info.run_id, encoding="utf-8")
        case "batch":
            points = [Metric(name, value, at, step) for name, value, at, step in entry["metrics"]]
            for start in range(0, max(1, len(points)), 1000):  # MLflow's largest batch
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
    """Send a file's entries in order; what was sent is taken off, so that a kill in between repeats one at most."""
    while file.exists():
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            try:
                _perform(client, json.loads(line))
            except Exception:
                rest = file.with_suffix(".part")
                rest.write_text("".join(f"{left}\n" for left in lines[number:]), encoding="utf-8")
                rest.replace(file)
                raise
        file.unlink()


def _file() -> Path:
    return folder() / f"{os.uname().nodename}-{os.getpid()}.jsonl"


def _alive(file: Path) -> bool:
    host, pid = file.stem.rsplit("-", 1)
    return host != os.uname().nodename or psutil.pid_exists(int(pid))
