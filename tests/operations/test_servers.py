"""The servers of `transferline serve`: passwords, addresses, taken ports, PostgreSQL."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.flows.test_retrain import transferline
from tests.operations.service import free_port, make_two_targets, serve
from tests.project import make_project


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_another_address_than_loopback_needs_passwords(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    ports = ["--prefect-port", str(free_port()), "--mlflow-port", str(free_port())]
    done = transferline(project, "serve", "--host", "0.0.0.0", *ports)
    assert done.returncode == 2
    assert "Prefect would be open to everybody" in done.stderr
    half = transferline(project, "serve", "--host", "0.0.0.0", *ports, PREFECT_SERVER_API_AUTH_STRING="a:b")
    assert "MLflow would be open to everybody" in half.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = transferline(project, "serve", "--prefect-port", port, "--mlflow-port", str(free_port()))
    assert done.returncode == 2
    assert f"127.0.0.1:{port}: something listens there already" in done.stderr


def test_deploying_without_a_server_says_what_to_set(tmp_path: Path) -> None:
    done = transferline(make_project(tmp_path / "project"), "deploy", PREFECT_API_URL="")
    assert done.returncode == 2
    assert "PREFECT_API_URL: no Prefect server is named" in done.stderr


@pytest.mark.slow
def test_both_servers_can_ask_for_a_password(tmp_path: Path) -> None:
    pytest.importorskip("flask_wtf", reason="MLflow's passwords need Flask-WTF (pip install 'transferline[auth]')")
    auth = tmp_path / "auth.ini"
    lines = ["[mlflow]", "default_permission = READ", f"database_uri = sqlite:///{tmp_path}/auth.db"]
    lines += ["admin_username = admin", "admin_password = a-long-password-1"]
    lines += ["authorization_function = mlflow.server.auth:authenticate_request_basic_auth"]
    auth.write_text("\n".join(lines) + "\n")
    service = serve(
        make_two_targets(tmp_path / "project"),
        tmp_path / "home",
        PREFECT_SERVER_API_AUTH_STRING="admin:word",
        PREFECT_API_AUTH_STRING="admin:word",
        MLFLOW_AUTH_CONFIG_PATH=str(auth),
        MLFLOW_FLASK_SERVER_SECRET_KEY="secret",
        MLFLOW_TRACKING_USERNAME="admin",
        MLFLOW_TRACKING_PASSWORD="a-long-password-1",
    )
    try:
        assert status(f"{service.prefect}/flows/paginate") in (401, 405)
        assert status(f"{service.prefect}/admin/version") == 401
        assert status(f"{service.mlflow}/api/2.0/mlflow/experiments/search?max_results=1") == 401
        deployed = service.transferline("deploy")
        assert deployed.returncode == 0, deployed.stderr
        assert "retrain/on-demand" in deployed.stdout
        listed = service.transferline("models")
        assert listed.returncode == 0, listed.stderr
    finally:
        service.end()
    for log in [service.log, *(service.project / "mlruns" / "logs").glob("*.log")]:
        assert "a-long-password-1" not in log.read_text(errors="replace")


@pytest.mark.slow
def test_both_servers_keep_their_books_in_postgresql(postgres: str, tmp_path: Path) -> None:
    project = make_two_targets(tmp_path / "project")
    (project / "mlruns" / "mlflow.db").unlink()
    service = serve(
        project,
        tmp_path / "home",
        PREFECT_API_DATABASE_CONNECTION_URL=f"postgresql+asyncpg://{postgres}/prefect",
        MLFLOW_BACKEND_STORE_URI=f"postgresql+psycopg2://{postgres}/mlflow",
    )
    try:
        run = service.start("retrain/on-demand", target="coins")
        assert service.finish(run).is_completed(), service.logs(run)
        assert service.registry().get_model_version_by_alias("coins", "challenger").version == "1"
        assert not list((service.project / "mlruns").glob("*.db"))
        assert not list((tmp_path / "home").glob("*.db"))
    finally:
        service.end()
