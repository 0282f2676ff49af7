"""SIGKILL at each change of the model registry: the next run leaves what a run that was never killed leaves."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_retrain import registry, transferline
from tests.operations.service import TARGETS
from tests.project import declare, environment, make_project

CHANGES = (
    "create_registered_model",
    "create_model_version",
    "set_registered_model_alias",
    "set_registered_model_tag",
    "set_model_version_tag",
    "delete_registered_model_tag",
)
DYING = f"""
import os, signal, sys
import mlflow
left = int(sys.argv.pop(1))

def dying(method):
    def call(*given, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*given, **named)
    return call

for name in {CHANGES!r}:
    setattr(mlflow.MlflowClient, name, dying(getattr(mlflow.MlflowClient, name)))
from transferline.cli.main import main
main()
"""


def killed_at(project: Path, call: int, *words: str) -> bool:
    """Run a command that dies at its n-th change of the registry. Returns whether it died."""
    command = [sys.executable, "-P", "-c", DYING, str(call), *words]
    quiet = subprocess.DEVNULL  # its temporary server outlives it and would keep a pipe open
    done = subprocess.run(command, cwd=project, env=environment(project), stdout=quiet, stderr=quiet, check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def state(project: Path) -> dict[str, Any]:
    """What the registry says: versions with their keys, aliases, moves, and open runs."""
    client = registry(project)
    model = client.get_registered_model("reviews")
    versions = client.search_model_versions("name = 'reviews'")
    experiments = [one.experiment_id for one in client.search_experiments()]
    return {
        "keys": sorted(version.tags["transferline.key"] for version in versions),
        "champion": next(
            v.tags["transferline.key"] for v in versions if str(v.version) == str(model.aliases["champion"])
        ),
        "aliases": sorted(model.aliases),
        "pending": "transferline.move" in model.tags,
        "running": len(client.search_runs(experiments, "attributes.status = 'RUNNING'")),
    }


@pytest.mark.slow  # without the tests' shared server: it runs no service that takes leases from the dead
def test_a_retrain_killed_at_any_change_of_the_registry_is_completed_by_the_next(tmp_path: Path) -> None:
    project, before = make_project(tmp_path / "project"), tmp_path / "before"
    declare(project, targets={"reviews": TARGETS["reviews"]})
    assert killed_at(project, 0, "run", "reviews", "full")  # trained, and nothing registered
    shutil.copytree(project, before)
    done = transferline(project, "run", "reviews", "full")
    assert done.returncode == 0, done.stderr
    wanted = state(project)
    assert (wanted["pending"], wanted["running"]) == (False, 0)
    kills = 0
    while True:
        # in the same folder: the paths of artifacts are absolute
        shutil.rmtree(project)
        shutil.copytree(before, project)
        if not killed_at(project, kills, "run", "reviews", "full"):
            break
        kills += 1
        done = transferline(project, "run", "reviews", "full")
        assert done.returncode == 0, done.stderr
        assert state(project) == wanted, f"killed at change {kills - 1}"
    assert kills >= 7
    assert state(project) == wanted
