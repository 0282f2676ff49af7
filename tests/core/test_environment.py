"""The environment of the libraries: logins move to the variables of their clients, so that addresses are safe to show."""

from __future__ import annotations

import os

import pytest

from transferline.core.environment import logins_to_environment

WORD = "canary-word"
URI = f"postgresql://ada:{WORD}@db.example.org/mlflow"


def test_logins_of_servers_move_to_the_variables_of_their_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://ada:{WORD}%40@mlflow.example.org")
    monkeypatch.setenv("PREFECT_API_URL", f"https://bob:{WORD}@prefect.example.org/api")
    logins_to_environment()
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://mlflow.example.org"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("ada", f"{WORD}@")
    assert os.environ["PREFECT_API_URL"] == "https://prefect.example.org/api"
    assert os.environ["PREFECT_API_AUTH_STRING"] == f"bob:{WORD}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)  # a database has no such variables
    logins_to_environment()
    assert os.environ["MLFLOW_TRACKING_URI"] == URI
