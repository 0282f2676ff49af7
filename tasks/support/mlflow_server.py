"""The MLflow server of `transferline serve`: its command and its environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from transferline.core.project import root
from transferline.core.settings import settings, variable
from transferline.tasks.support.mlflow_database import make_tables


def mlflow_command(host: str, port: int) -> list[str]:
    """The command that starts the server. Creates the tables of an embedded database.

    Database and artifact store are not among the arguments, which every user of a machine sees (see `mlflow_environment`).
    """
    make_tables(_database())
    script = str(Path(sys.executable).parent / "mlflow")
    command = [script, "server", "--host", host, "--port", str(port), "--workers", "1", "--serve-artifacts"]
    return [*command, "--app-name", "basic-auth"] if settings().mlflow_auth_config_path else command


def mlflow_environment(shared: Mapping[str, str]) -> dict[str, str]:
    """Environment of the server. Without the job runner and with one worker it needs a fifth of the memory."""
    # the server must not log to itself: this variable is for clients
    others = {name: value for name, value in shared.items() if name != variable("mlflow_tracking_uri")}
    artifacts = settings().mlflow_artifacts_destination or str(root() / "mlruns" / "artifacts")
    places = {variable("mlflow_backend_store_uri"): _database(), variable("mlflow_artifacts_destination"): artifacts}
    return {**others, **places, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def _database() -> str:
    return settings().mlflow_backend_store_uri or f"sqlite:///{root() / 'mlruns' / 'mlflow.db'}"
