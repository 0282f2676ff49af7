"""A running `transferline serve` on a tiny project with three targets, and its client for tests."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.project import BAD, GOOD, declare, environment, make_project, sentence, write_corpus, write_reviews

SPLIT = {"test": 0.3, "validation": 0.2}
TARGETS = {
    "reviews": {"domain": "cinema", "data": "reviews.csv", "split": SPLIT, "margin": 0.9, "proof": "margin"},
    "plays": {
        "domain": "stage",
        "data": "plays.csv",
        "split": SPLIT,
        "margin": 0.9,
        "proof": "margin",
        "recipe": "full",
    },
    # random labels: no model is better than another, so all are equal within this margin
    "coins": {
        "domain": "stage",
        "data": "coins.csv",
        "split": SPLIT,
        "margin": 0.9,
        "proof": "margin",
        "recipe": "full",
    },
}


def make_two_targets(root: Path, **changes: Any) -> Path:
    """Make a project with three targets in two domains. `changes` replace blocks of params.yaml."""
    make_project(root)
    write_reviews(root / "plays.csv", seed=3)
    write_corpus(root / "plays.txt", seed=4)
    rng = random.Random(6)
    rows = [f"{sentence(rng, rng.choice([GOOD, BAD]))},{rng.choice(['heads', 'tails'])}" for _ in range(240)]
    (root / "coins.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    domains = {"cinema": {"data": "corpus.txt"}, "stage": {"data": "plays.txt"}}
    declare(root, **{"targets": TARGETS, "domains": domains, **changes})
    return root


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    """A running service: its project, process and addresses."""

    project: Path
    process: subprocess.Popen[str]
    prefect: str
    mlflow: str
    environment: dict[str, str]
    log: Path
    ours: list[int] = field(default_factory=list)

    def transferline(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "transferline", *words]
        return subprocess.run(command, cwd=self.project, env=self.environment, capture_output=True, text=True)

    @contextlib.contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        with temporary_settings({PREFECT_API_URL: self.prefect}), get_client(sync_client=True) as client:
            yield client

    def start(self, deployment: str, **parameters: Any) -> Any:
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def state(self, run: Any) -> Any:
        with self.client() as client:
            return client.read_flow_run(run).state

    def finish(self, run: Any, seconds: float = 240) -> Any:
        """Wait for the final state of a run. Crashed is not final, because crashed runs are restarted."""
        found: list[Any] = []

        def final() -> bool:
            with contextlib.suppress(httpx.HTTPError):  # the server may be restarting
                found[:] = [self.state(run)]
            return bool(found) and found[0].type.value in ("COMPLETED", "FAILED", "CANCELLED")

        wait_for(final, seconds)
        return found[0]

    def runs(self, flow: str) -> list[Any]:
        """All runs of a flow, oldest first."""
        from prefect.client.schemas.filters import FlowFilter, FlowFilterName

        with self.client() as client:
            found = client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])), limit=200)
        return sorted(found, key=lambda run: run.created)

    def logs(self, run: Any) -> str:
        from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

        with self.client() as client:
            rows = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])), limit=200)
        return "\n".join(row.message for row in rows)

    def registry(self) -> Any:
        import mlflow

        return mlflow.MlflowClient(self.mlflow)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Processes of this service with all the words in their command line."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if all(word in " ".join(child.cmdline()) for word in words):
                    found.append(child)
        return found

    def of_run(self, run: Any) -> list[psutil.Process]:
        """Processes of a flow run."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if child.environ().get("PREFECT__FLOW_RUN_ID") == str(run):
                    found.append(child)
        return found

    def end(self) -> None:
        assert self.process.poll() is None, f"the service ended by itself: {self.log.read_text()}"
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.ours = [child.pid for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def serve(project: Path, home: Path, **extra: str) -> Served:
    """Start the service and wait until it prints that it is ready."""
    ports = free_port(), free_port()
    told = {"PREFECT_HOME": str(home), "PREFECT_WORKER_QUERY_SECONDS": "1", "OMP_NUM_THREADS": "1", **extra}
    inherited = environment(project, **told)
    inherited.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-P", "-m", "transferline", "serve"]
    command += ["--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1])]
    log = project.parent / "serve.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=project, env=inherited, stdout=out, stderr=out, text=True)
    addresses = f"http://127.0.0.1:{ports[0]}/api", f"http://127.0.0.1:{ports[1]}"
    mine = {**inherited, "PREFECT_API_URL": addresses[0], "MLFLOW_TRACKING_URI": addresses[1]}
    served = Served(project, process, *addresses, mine, log)
    try:
        wait_for(lambda: "ready" in log.read_text() or process.poll() is not None, 240)
        assert process.poll() is None, log.read_text()
    except BaseException:
        process.kill()
        raise
    return served


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.25)


def making(project: Path, kind: str) -> bool:
    """Whether a stage of this kind is being built now."""
    return bool(list((project / "data" / "checkpoints" / ".making").glob(f"{kind}-*")))


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        os.kill(process.pid, signal.SIGKILL)
