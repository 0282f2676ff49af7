"""`serve`: which servers are started, with which environment, and how their processes end."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from tests.operations.service import free_port
from tests.recording import record
from transferline.core.errors import InputError
from transferline.tasks.support import mlflow_server
from transferline.tasks.support import services as module
from transferline.tasks.support.services import Addresses, Service, addresses, services

HERE = Addresses("http://127.0.0.1:4200/api", "http://127.0.0.1:5000", True, True)


@pytest.fixture(autouse=True)
def quiet(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is declared, no device is there, and no database is made."""
    names = (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_AUTH_CONFIG_PATH",
        "MLFLOW_BACKEND_STORE_URI",
        "MLFLOW_ARTIFACTS_DESTINATION",
    )
    for name in (*names, "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING", "TRANSFERLINE_PLACEMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "0")
    record(monkeypatch, mlflow_server, "make_tables")


def test_servers_that_run_already_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow")
    where = addresses("127.0.0.1", 1, 1)
    assert where == Addresses("http://prefect/api", "http://mlflow", False, False)
    servers, workers = services(where, "127.0.0.1", 1, 1)
    assert servers == []
    assert [worker.name for worker in workers] == ["worker-transferline"]


def test_a_database_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    where = addresses("127.0.0.1", free_port(), free_port())
    assert where.start_mlflow
    assert where.mlflow.startswith("http://127.0.0.1:")


def test_a_taken_port_is_refused_by_its_name() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=r"MLflow cannot.*--mlflow-port"):
            addresses("127.0.0.1", free_port(), port)


def test_an_open_door_needs_both_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = free_port(), free_port()
    with pytest.raises(InputError, match="PREFECT_SERVER_API_AUTH_STRING is not set"):
        addresses("0.0.0.0", *ports)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "a:b")
    with pytest.raises(InputError, match="MLFLOW_AUTH_CONFIG_PATH is not set"):
        addresses("0.0.0.0", *ports)
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", "auth.ini")
    assert addresses("0.0.0.0", *ports).start_mlflow


def test_processes_that_are_started_know_the_servers_and_the_project(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prefect, mlflow), (worker,) = services(HERE, "127.0.0.1", 4200, 5000)
    told = worker.environment
    assert (told["PREFECT_API_URL"], told["MLFLOW_TRACKING_URI"]) == (HERE.prefect, HERE.mlflow)
    assert (told["TRANSFERLINE_ROOT"], told["TRANSFERLINE_TENDED"]) == (str(bare), "1")
    assert told["PREFECT_WORKER_QUERY_SECONDS"] == "3"
    assert "TRANSFERLINE_PLACEMENT" not in told
    assert "PREFECT_API_AUTH_STRING" not in told
    assert "MLFLOW_TRACKING_URI" not in mlflow.environment  # it is that server
    assert prefect.health == "http://127.0.0.1:4200/api/health"
    assert mlflow.environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{bare}/mlruns/mlflow.db"
    assert mlflow.environment["MLFLOW_ARTIFACTS_DESTINATION"] == f"{bare}/mlruns/artifacts"
    assert "basic-auth" not in mlflow.command


def test_a_password_of_the_server_is_known_to_its_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "a:b")
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", "auth.ini")
    (_, mlflow), (worker,) = services(HERE, "127.0.0.1", 4200, 5000)
    assert worker.environment["PREFECT_API_AUTH_STRING"] == "a:b"
    assert mlflow.command[-2:] == ["--app-name", "basic-auth"]
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "c:d")
    assert services(HERE, "127.0.0.1", 4200, 5000)[1][0].environment["PREFECT_API_AUTH_STRING"] == "c:d"


def test_devices_get_a_worker_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "2")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    _, workers = services(HERE, "127.0.0.1", 4200, 5000)
    limits = {one.name: one.command[one.command.index("--limit") + 1] for one in workers}
    assert limits == {"worker-transferline": "4", "worker-transferline-gpu": "2"}
    assert workers[0].environment["TRANSFERLINE_PLACEMENT"] == "workers"
    monkeypatch.setenv("TRANSFERLINE_PLACEMENT", "local")
    assert services(HERE, "127.0.0.1", 4200, 5000)[1][0].environment["TRANSFERLINE_PLACEMENT"] == "local"


def test_a_service_ends_with_all_that_it_has_started(bare: Path) -> None:
    one = Service("sleeper", ["/bin/sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait"], environment=dict(os.environ))
    one.start(bare)
    log = bare / "sleeper.log"
    deadline = time.monotonic() + 10
    while not log.read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.02)
    one.end(0.2)  # it ignores SIGTERM
    assert one.process is not None
    assert one.process.returncode is not None
    child = int(log.read_text().split()[0])
    while alive(child) and time.monotonic() < deadline:  # the kernel takes a moment to end what was killed
        time.sleep(0.02)
    assert not alive(child)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_service_that_ends_is_started_again_and_given_up_at_last(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = record(monkeypatch, module.time, "sleep")  # type: ignore[arg-type]
    one = Service("broken", ["/bin/false"], environment=dict(os.environ))
    one.start(bare)
    told: list[str] = []

    def end_and_look() -> None:
        assert one.process is not None
        one.process.wait()
        module._keep_running([one], bare, told.append)

    for _ in range(module.RESTARTS):
        end_and_look()
    with pytest.raises(RuntimeError, match=f"broken ended {module.RESTARTS + 1} times; see .*broken.log"):
        end_and_look()
    assert len(told) == module.RESTARTS
    assert [args[0] for args, _ in waited.calls] == [2.0, 4.0, 8.0, 16.0, 20]


def test_a_server_that_does_not_start_is_told_with_its_last_lines(bare: Path) -> None:
    one = Service(
        "server", ["/bin/sh", "-c", "echo no such database; exit 1"], "http://127.0.0.1:1/health", dict(os.environ)
    )
    one.start(bare)
    with pytest.raises(InputError, match=r"server: did not start: no such database"):
        module._wait(one, bare, [])
