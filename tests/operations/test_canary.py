"""A password in the tracking address reaches no output, database or file of any command."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.operations.service import TARGETS, free_port
from tests.project import declare, environment, make_project
from transferline.tasks.support.mlflow_server import mlflow_command, mlflow_environment

CANARY = "canary-5d1e-word"
COMMANDS = (
    ("targets",),
    ("plan", "reviews", "full"),  # refused: the data was never prepared
    ("run", "reviews", "full"),
    ("plan", "reviews", "full"),
    ("models",),
    ("lineage", "reviews"),
    ("predict", "reviews", "reviews.csv", "--output", "out.csv"),
    ("predict", "nothing", "reviews.csv"),
    ("watch", "reviews", "--stream", "reviews.csv"),
    ("promote", "reviews@99", "--reason", "none"),
    ("rollback", "reviews", "--reason", "none"),
    ("audit", "reviews", "full"),
    ("diagnose", "reviews"),
    ("gc", "--days", "0"),
    ("data", "push"),
    ("run", "nothing"),
)


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A tracking server, and its address with a login that holds the canary."""
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path / "server"))
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / "server" / "store"))
    port = free_port()
    told = mlflow_environment({**environment(tmp_path)})
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(mlflow_command("127.0.0.1", port), env=told, stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            break
        except (URLError, OSError):
            time.sleep(0.5)
    yield f"http://ada:{CANARY}@127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.mark.slow
def test_no_command_writes_the_password_anywhere(tracking: str, tmp_path: Path) -> None:
    project, home = make_project(tmp_path / "project"), tmp_path / "prefect"
    declare(project, targets={"reviews": TARGETS["reviews"]})
    given = environment(project, MLFLOW_TRACKING_URI=tracking, PREFECT_HOME=str(home))
    codes = {}
    for number, words in enumerate(COMMANDS):
        out = tmp_path / "outputs" / f"{number}.txt"
        out.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-P", "-m", "transferline", *words]
        with out.open("wb") as file:
            done = subprocess.run(command, cwd=project, env=given, stdout=file, stderr=file, check=False)
        codes[number, words[0]] = done.returncode
        text = out.read_text(errors="replace")
        assert "Traceback" not in text, text
    assert codes[2, "run"] == 0, (tmp_path / "outputs" / "2.txt").read_text()
    assert codes[6, "predict"] == 0, (tmp_path / "outputs" / "6.txt").read_text()
    found = [
        str(path)
        for place in (tmp_path / "outputs", project, home, tmp_path / "server", tmp_path / "server.log")
        for path in ([place] if place.is_file() else place.rglob("*"))
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    assert found == []
