"""The MLflow server is started without secrets among its arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.tasks.support.mlflow_server import mlflow_command, mlflow_environment

DATABASE = "postgresql+psycopg2://ada:canary-word@db/mlflow"


def test_the_database_is_in_the_environment_and_not_among_the_arguments(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", DATABASE)
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://key:canary-word@bucket/artifacts")
    assert "canary-word" not in " ".join(mlflow_command("127.0.0.1", 5000))
    told = mlflow_environment({"PATH": "/bin", "MLFLOW_TRACKING_URI": "http://here"})
    assert told["MLFLOW_BACKEND_STORE_URI"] == DATABASE
    assert told["MLFLOW_ARTIFACTS_DESTINATION"].startswith("s3://key")
    assert "MLFLOW_TRACKING_URI" not in told
