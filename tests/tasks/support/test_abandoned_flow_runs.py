"""A flow run of a killed process becomes crashed at the next command; those of living processes and of others do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Running
from prefect.testing.utilities import prefect_test_harness

from transferline.tasks.support.abandoned_flow_runs import close_abandoned
from transferline.tasks.support.run_owners import HOST, PID, owner_tags


@pytest.fixture(scope="module")
def client() -> Iterator[SyncPrefectClient]:
    with prefect_test_harness(server_startup_timeout=120), get_client(sync_client=True) as made:
        yield made


@flow
def work() -> None:
    pass


@task
def part() -> None:
    pass


def running(client: SyncPrefectClient, labels: dict[str, str]) -> UUID:
    run = client.create_flow_run(work, state=Running())
    client.update_flow_run_labels(run.id, labels)
    client.create_task_run(part, flow_run_id=run.id, dynamic_key="0", state=Running())
    return run.id


def test_only_runs_of_dead_processes_are_crashed(client: SyncPrefectClient) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = owner_tags()
    dead = running(client, {**mine, PID: str(ended.pid)})
    alive, elsewhere, nobody = (
        running(client, labels) for labels in (mine, {**mine, HOST: "elsewhere", PID: str(ended.pid)}, {})
    )
    own = running(client, {})
    assert close_abandoned(own) == 1
    states = {run: client.read_flow_run(run).state.type.value for run in (dead, alive, elsewhere, nobody, own)}
    assert states == {dead: "CRASHED", alive: "RUNNING", elsewhere: "RUNNING", nobody: "RUNNING", own: "RUNNING"}
    assert client.read_flow_run(own).labels[PID] == mine[PID]
    parts = {one.flow_run_id: one.state.type.value for one in client.read_task_runs()}
    assert parts == states
    assert close_abandoned(own) == 0
