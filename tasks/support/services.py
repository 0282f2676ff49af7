"""`transferline serve`: run both servers, the workers and the deployments with one command.

Running servers are used as they are (PREFECT_API_URL, MLFLOW_TRACKING_URI). Servers started here bind to loopback. Another
address is refused unless both servers require a password. A process that dies is restarted. All end together.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.error import URLError

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.core.settings import inherited, settings
from transferline.core.uris import without_credentials
from transferline.tasks.support.bind_addresses import LOOPBACK, check_free, in_url
from transferline.tasks.support.gpu_slots import devices
from transferline.tasks.support.mlflow_server import mlflow_command, mlflow_environment
from transferline.tasks.support.restarts import Tender, under_way
from transferline.tasks.support.scope import scoped_pool

FLOWS_AT_ONCE = 4  # concurrent flow runs of the CPU worker; most of the time they wait for stages and devices
RESTARTS = 5  # per process, before `serve` gives up
UP_WITHIN = 180.0  # seconds until a server must respond: on a slow machine a new database takes long


@dataclass
class Service:
    """One process that is kept running: its name, command, environment, and health URL ('' for none)."""

    name: str
    command: list[str]
    health: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self, logs: Path) -> None:
        """Start in a new process group, so that it can be ended together with its child processes."""
        self.starts += 1
        with (logs / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=root(), stdout=log, stderr=log, start_new_session=True
            )

    def end(self, patience: float) -> None:
        """Send SIGTERM to the group, wait up to `patience` seconds, then send SIGKILL."""
        if self.process is None:
            return
        with_group(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):  # the group is killed below
            self.process.wait(timeout=patience)
        with_group(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Addresses:
    """URLs of the two servers, and whether this command starts them."""

    prefect: str
    mlflow: str
    start_prefect: bool
    start_mlflow: bool


def addresses(host: str, prefect_port: int, mlflow_port: int) -> Addresses:
    """Addresses from the environment, else of servers to be started. Raises InputError on an open or taken address."""
    api, tracking = settings().prefect_api_url, settings().mlflow_tracking_uri or ""
    found = Addresses(
        api or f"http://{in_url(host)}:{prefect_port}/api",
        tracking if tracking.startswith("http") else f"http://{in_url(host)}:{mlflow_port}",
        not api,
        not tracking.startswith("http"),
    )
    ports = [(found.start_prefect, prefect_port, "Prefect"), (found.start_mlflow, mlflow_port, "MLflow")]
    for ours, port, name in ports:
        if ours:
            check_free(host, port, name)
    if found.start_prefect and found.start_mlflow and prefect_port == mlflow_port:
        raise InputError("--mlflow-port", f"{mlflow_port} is Prefect's port too", "Choose another one")
    if host not in LOOPBACK:
        _refuse_open_doors(found)
    return found


def services(where: Addresses, host: str, prefect_port: int, mlflow_port: int) -> tuple[list[Service], list[Service]]:
    """Returns (servers, workers), each in the order of their start."""
    shared = _environment(where)
    servers, workers = [], []
    if where.start_prefect:
        command = [_script("prefect"), "server", "start", "--host", host, "--port", str(prefect_port)]
        # leases on disk: after a restart of the server the slots of dead holders still expire
        storage = "prefect.server.concurrency.lease_storage.filesystem"
        settings = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": storage, "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"}
        servers.append(Service("prefect", command, f"{where.prefect}/health", {**shared, **settings}))
    if where.start_mlflow:
        command, environment = mlflow_command(host, mlflow_port), mlflow_environment(shared)
        servers.append(Service("mlflow", command, f"{where.mlflow}/health", environment))
    # without `--install-policy never` a worker may call pip at its start
    worker = [_script("prefect"), "worker", "start", "--type", "process", "--install-policy", "never"]
    limits = {scoped_pool("transferline"): FLOWS_AT_ONCE}
    if devices():
        limits[scoped_pool("transferline-gpu")] = len(devices())
    for pool, limit in limits.items():
        command = [*worker, "--pool", pool, "--limit", str(limit), "--name", f"{pool}-{os.uname().nodename}"]
        workers.append(Service(f"worker-{pool}", command, "", shared))
    return servers, workers


def run(where: Addresses, servers: list[Service], workers: list[Service], say: Callable[[str], None]) -> None:
    """Start servers, deployments and workers, keep them running, and end them on SIGINT or SIGTERM."""
    logs = root() / "mlruns" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    stop, tender = _stop_on_signals(), Tender(where.prefect, say)
    try:
        for server in servers:
            say(f"starting {server.name} ...")
            server.start(logs)
        for server in servers:
            _wait(server, logs, stop)
        if stop:
            return
        say("registering deployments ...")
        deploy = [sys.executable, "-P", "-m", "transferline", "deploy", "--quiet"]
        subprocess.run(deploy, env=_environment(where), cwd=root(), check=True)
        for worker in workers:
            worker.start(logs)
        say(f"Prefect  {without_credentials(where.prefect.removesuffix('/api'))}")
        say(f"MLflow   {without_credentials(where.mlflow)}")
        say(f"workers  {', '.join(worker.name for worker in workers)}; logs in {logs}")
        say("ready; Ctrl-C ends it all")
        while not stop:
            _keep_running([*servers, *workers], logs, say)
            tender.look()
            time.sleep(1.0)
    finally:
        say("ending ...")
        cut_off = under_way()
        for worker in reversed(workers):
            worker.end(15.0)
        tender.cut_off(cut_off)
        for server in reversed(servers):
            server.end(10.0)


def with_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group if it still exists."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _keep_running(kept: list[Service], logs: Path, say: Callable[[str], None]) -> None:
    for service in kept:
        if service.process is not None and service.process.poll() is not None:
            if service.starts > RESTARTS:
                raise RuntimeError(f"{service.name} ended {service.starts} times; see {logs / service.name}.log")
            say(f"{service.name} ended (exit code {service.process.returncode}) and is started again")
            time.sleep(min(2.0**service.starts, 20))  # back off: the cause may need time to pass
            service.start(logs)


def _wait(server: Service, logs: Path, stop: list[int]) -> None:
    deadline = time.monotonic() + UP_WITHIN
    while not stop and not _answers(server.health):
        assert server.process is not None
        if server.process.poll() is not None or time.monotonic() > deadline:
            tail = (logs / f"{server.name}.log").read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
            raise InputError(server.name, "did not start: " + " | ".join(tail), f"See {logs / server.name}.log")
        time.sleep(0.3)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _environment(where: Addresses) -> dict[str, str]:
    mine = settings()
    told: dict[str, object] = {
        "prefect_api_url": where.prefect,
        "mlflow_tracking_uri": where.mlflow,
        "root": root(),
        "tended": True,
        "prefect_worker_query_seconds": mine.prefect_worker_query_seconds,
    }
    if devices() and "placement" not in mine.model_fields_set:
        told["placement"] = "workers"
    if mine.prefect_server_api_auth_string:
        told["prefect_api_auth_string"] = mine.prefect_api_auth_string or mine.prefect_server_api_auth_string
    return {**inherited(**told), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}


def _refuse_open_doors(where: Addresses) -> None:
    mend = "docs/operations.md, Passwords, says how to turn it on"
    if where.start_prefect and not settings().prefect_server_api_auth_string:
        raise InputError(
            "--host", "Prefect would be open to everybody: PREFECT_SERVER_API_AUTH_STRING is not set", mend
        )
    if where.start_mlflow and not settings().mlflow_auth_config_path:
        raise InputError("--host", "MLflow would be open to everybody: MLFLOW_AUTH_CONFIG_PATH is not set", mend)


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _stop_on_signals() -> list[int]:
    """Install handlers for SIGINT and SIGTERM. Returns a list that receives the signals."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return received
