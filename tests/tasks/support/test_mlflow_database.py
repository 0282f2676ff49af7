"""The embedded MLflow database is created atomically."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transferline.tasks.support.mlflow_database import make_tables

MAKER = "import sys; from transferline.tasks.support.mlflow_database import make_tables; make_tables(sys.argv[1])"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / "store"))


def test_killed_while_the_tables_are_made_and_made_again(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    database = tmp_path / "mlruns" / "mlflow.db"
    uri = f"sqlite:///{database}"
    process = subprocess.Popen([sys.executable, "-c", MAKER, uri])
    making = database.with_name(".mlflow.db.making")
    while not (making.exists() and making.stat().st_size):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not database.exists()
    make_tables(uri)
    assert not making.exists()
    client = MlflowClient(uri)
    assert client.get_experiment(client.create_experiment("after")).name == "after"


def test_a_database_that_is_there_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"somebody's")
    make_tables(f"sqlite:///{database}")
    assert database.read_bytes() == b"somebody's"
