"""Fixtures. All tests run offline, without progress output, on one thread, with separate homes for Prefect and MLflow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

_HOME = tempfile.mkdtemp(prefix="transferline-tests-")
os.environ.update(
    {
        "TRANSFERLINE_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # tiny models gain nothing from a second thread
        "PREFECT_HOME": f"{_HOME}/prefect",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
    }
)
for _name in ("MLFLOW_TRACKING_URI", "TRANSFERLINE_STORE", "TRANSFERLINE_ROOT"):
    os.environ.pop(_name, None)

if TYPE_CHECKING:
    from tests.operations.service import Served

import transferline.flows  # noqa: E402, F401 - sets the quiet switches before any library is imported
from tests.project import SERVER, declare, make_project, write_tiny_bert  # noqa: E402


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny, randomly initialised BERT."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny_bert(folder)
    return folder


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One Prefect server for all tests that run flows in this process."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    # without heartbeats: joining that thread takes up to a second at the end of every flow
    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture(scope="session")
def prefect_api(prefect_server: None) -> str:
    """Address of that server for commands in other processes, which would start their own server otherwise."""
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


@pytest.fixture(scope="module")
def one_server(prefect_api: str) -> Iterator[None]:
    """Let the commands of a module use the shared Prefect server."""
    os.environ[SERVER] = prefect_api
    yield
    del os.environ[SERVER]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny project. The current folder is changed to it."""
    root = make_project(tmp_path / "project")
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(root))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(root / ".dvc" / "tmp" / "site"))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a params.yaml and an empty store, and this process inside it: for what reads no data and no model."""
    root = tmp_path / "bare"
    root.mkdir()
    declare(root)
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(root))
    monkeypatch.setenv("TRANSFERLINE_STORE", str(root / "store"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One `transferline serve`, shared by all tests that do not stop it."""
    from tests.operations.service import make_two_targets, serve

    folder = tmp_path_factory.mktemp("service")
    served = serve(make_two_targets(folder / "project"), folder / "home")
    yield served
    served.end()
    assert not served.ours, "something outlived the service"


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Prepared splits of every kind of target: kind -> role -> file."""
    from tests.kinds import make_kinds

    return make_kinds(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny base of a family, written once."""
    from tests.bases import write_tiny

    root = tmp_path_factory.mktemp("bases")

    def of(family: str) -> Path:
        folder = root / family
        return folder if folder.exists() else write_tiny(family, folder)

    return of
