"""GPU stages as flow runs on a GPU worker, and a full disk. Slow."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.flows.test_kill import reference_of
from tests.flows.test_placement import check_devices, children
from tests.flows.test_retrain import digests, transferline
from tests.operations.service import kill, make_two_targets, making, serve, wait_for
from tests.project import make_project

pytestmark = pytest.mark.slow


def test_gpu_stages_go_to_the_gpu_pool_and_survive_their_worker(tmp_path: Path) -> None:
    reference = reference_of(tmp_path)
    slots = {"TRANSFERLINE_GPU_SLOTS": "2", "TRANSFERLINE_SLOTS": str(tmp_path / "slots")}
    service = serve(make_two_targets(tmp_path / "project"), tmp_path / "home", **slots)
    try:
        runs = [service.start("retrain/on-demand", target=name) for name in ("reviews", "plays")]
        wait_for(lambda: making(service.project, "tune") and bool(children(service.project)), 120)
        for child in children(service.project)[:1]:
            kill(child)
        most, deadline = 0, time.monotonic() + 500
        while any(not service.state(run).is_final() for run in runs) and time.monotonic() < deadline:
            most = max(most, len(children(service.project)))
            time.sleep(0.2)
        assert all(service.finish(run).is_completed() for run in runs), [service.logs(run) for run in runs]
        assert most == 2
        stages = service.runs("stage")
        assert len(stages) >= 6
        assert {stage.work_pool_name for stage in stages} == {"transferline-gpu"}
        client = service.registry()
        ids = [e.experiment_id for e in client.search_experiments()]
        finished = client.search_runs(ids, "attributes.status = 'FINISHED'", max_results=1000)
        check_devices([r for r in finished if r.data.params.get("runtime.visible", "all") != "all"])
        assert {key: digests(service.project).get(key) for key in digests(reference)} == digests(reference)
    finally:
        service.end()


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_fails_cleanly_and_keeps_what_was_finished(tmp_path: Path) -> None:
    reference = reference_of(tmp_path)
    project = make_project(tmp_path / "project")
    store = project / "data" / "checkpoints"
    store.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(store)], check=False).returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        done = transferline(project, "run")
        assert done.returncode == 1, done.stderr
        assert "the disk is full" in done.stderr
        kept = digests(project)
        assert kept
        assert kept == {key: digests(reference)[key] for key in kept}
        subprocess.run(["mount", "-o", "remount,size=200m", str(store)], check=True)
        again = transferline(project, "run")
        assert again.returncode == 0, again.stderr
        assert digests(project) == digests(reference)
        for key in kept:
            assert f"reused {key}" in again.stderr or key in again.stderr
    finally:
        subprocess.run(["umount", str(store)], check=False)
