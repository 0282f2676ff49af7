"""Fixtures of the tests of operation."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.service import free_port, wait_for


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """Start a PostgreSQL server for one test. Yields `user@host:port`."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [str(Path(shutil.which("initdb") or "").parent)]
    if not (Path(found[-1]) / "initdb").exists():
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    programs, place, port = Path(found[-1]), tmp_path / "postgres", free_port()
    place.mkdir()
    user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(place, "postgres")
        above = Path(tempfile.gettempdir())
        for folder in (tmp_path, *(parent for parent in tmp_path.parents if above in parent.parents)):
            folder.chmod(0o755)  # the other user must reach pytest's nested folder
        user = ["runuser", "-u", "postgres", "--"]
    data = str(place / "data")
    subprocess.run(
        [*user, programs / "initdb", "-D", data, "-U", "line", "-A", "trust"], check=True, capture_output=True
    )
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(place), "-c", "max_connections=200"]
    server = subprocess.Popen([*user, programs / "postgres", "-D", data, *options], stderr=subprocess.DEVNULL)

    def up() -> bool:
        ask = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0

    wait_for(up, 60)
    for name in ("prefect", "mlflow"):
        create = [programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "line", name]
        subprocess.run([*user, *create], check=True)
    yield f"line@127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=30)
