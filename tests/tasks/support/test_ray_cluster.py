"""The Ray cluster of placement `ray`, with Ray itself replaced: what is started, what is passed on, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.recording import Recorder
from transferline.core.errors import InputError
from transferline.tasks.support.ray_cluster import open_ray, remote


class Runner:
    def __init__(self, address: str | None) -> None:
        self.address = address


@pytest.fixture
def ray(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that looks like Ray, with a cluster of one GPU."""
    fake, runners, context = ModuleType("ray"), ModuleType("prefect_ray"), ModuleType("prefect_ray.context")
    fake.init, fake.is_initialized = Recorder(), Recorder(False)  # type: ignore[attr-defined]
    fake.cluster_resources = Recorder({"GPU": 1.0})  # type: ignore[attr-defined]
    runners.RayTaskRunner = Runner  # type: ignore[attr-defined]
    context.remote_options = lambda **options: options  # type: ignore[attr-defined]
    for module in (fake, runners, context):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("PREFECT_API_URL", "http://server/api")
    monkeypatch.delenv("TRANSFERLINE_RAY_ADDRESS", raising=False)
    monkeypatch.delenv("TRANSFERLINE_GPU_SLOTS", raising=False)
    return fake


def test_nodes_receive_the_project_the_store_and_our_settings_only(
    ray: Any, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "somewhere")
    monkeypatch.setenv("UNRELATED", "secret")
    open_ray(1, insist=True)
    (address,), options = ray.init.only
    told = options["runtime_env"]["env_vars"]
    assert address is None
    assert told["TRANSFERLINE_ROOT"] == str(bare)
    assert told["TRANSFERLINE_STORE"] == str(bare / "store")
    assert told["TRANSFERLINE_PLACEMENT"] == "ray"
    assert (told["AWS_REGION"], told["PREFECT_API_URL"]) == ("somewhere", "http://server/api")
    assert "UNRELATED" not in told
    assert "num_gpus" not in options


def test_a_shared_store_keeps_its_uri(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_STORE", "s3://bucket/line")
    open_ray(0, insist=False)
    assert ray.init.only[1]["runtime_env"]["env_vars"]["TRANSFERLINE_STORE"] == "s3://bucket/line"


def test_a_declared_cluster_is_used_as_it_is_and_one_started_here_has_the_declared_devices(
    ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_GPU_SLOTS", "1")
    assert open_ray(1, insist=True).address is None
    assert ray.init.only[1]["num_gpus"] == 1
    ray.init.calls.clear()
    monkeypatch.setenv("TRANSFERLINE_RAY_ADDRESS", "ray://head:10001")
    assert open_ray(1, insist=True).address == "ray://head:10001"
    (address,), options = ray.init.only
    assert address == "ray://head:10001"
    assert not {"num_gpus", "_node_ip_address"} & options.keys()


def test_a_cluster_is_connected_to_once(ray: Any) -> None:
    ray.is_initialized.returns = True
    open_ray(1, insist=True)
    assert ray.init.calls == []


@pytest.mark.parametrize(
    ("asked", "there", "insist", "refused"),
    [
        (2, 1.0, False, True),
        (1, 0.0, True, True),  # a GPU was asked for by name
        (1, 0.0, False, False),  # `auto` computes on CPUs
        (2, 0.0, False, True),
        (0.5, 1.0, True, False),
        (0, 0.0, False, False),
    ],
)
def test_more_gpus_than_the_cluster_has_are_refused(
    asked: float, there: float, insist: bool, refused: bool, ray: Any
) -> None:
    ray.cluster_resources.returns = {"GPU": there}
    if not refused:
        assert isinstance(open_ray(asked, insist), Runner)
        return
    with pytest.raises(InputError, match=f"a stage requests {asked:g} GPUs, the cluster has {there:g}"):
        open_ray(asked, insist)


def test_without_a_prefect_server_it_is_refused(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    with pytest.raises(InputError, match="its workers need a Prefect server"):
        open_ray(0, insist=False)


def test_without_ray_the_mend_is_its_installation(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'transferline\[ray\]'"):
        open_ray(0, insist=False)


def test_options_of_a_stage(ray: Any) -> None:
    assert remote(True, 0.5, 3) == {"num_cpus": 0, "num_gpus": 0.5, "max_retries": 2}
    assert remote(False, 0.5, 1) == {"num_cpus": 1, "num_gpus": 0, "max_retries": 0}
    ray.cluster_resources.returns = {}
    assert remote(True, 1, 3) == {"num_cpus": 1, "num_gpus": 0, "max_retries": 2}
