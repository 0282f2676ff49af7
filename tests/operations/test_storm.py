"""Servers, worker and run are killed during one run, and its result is unchanged. Slow, because heartbeats are."""

from __future__ import annotations

import itertools
import signal
import time
from pathlib import Path

import pytest
import yaml

from tests.flows.test_kill import reference_of
from tests.flows.test_retrain import digests
from tests.operations.service import Served, kill, make_two_targets, making, serve, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path: Path):
    served = serve(make_two_targets(tmp_path / "project"), tmp_path / "home")
    yield served
    served.end()


def test_servers_restart_and_worker_and_run_are_killed_yet_the_digests_are_the_same(
    own: Served, tmp_path: Path
) -> None:
    reference = reference_of(tmp_path)
    run = own.start("retrain/on-demand", target="reviews")
    wait_for(lambda: making(own.project, "adapt") or making(own.project, "tune"), 120)
    for server in own.processes("mlflow", "server"):
        kill(server)
    wait_for(lambda: making(own.project, "tune"), 120)
    for server in own.processes("prefect", "server", "start"):
        kill(server)
    time.sleep(5)
    wait_for(lambda: own.log.read_text().count("and is started again") >= 2, 60)
    victims = own.of_run(run)
    workers = own.processes("prefect", "worker", "start")
    assert workers
    for process in [*workers, *victims]:
        kill(process)
    state = own.finish(run, 400)
    assert state.is_completed(), f"{state.message}\n{own.logs(run)}"
    assert {key: digests(own.project).get(key) for key in digests(reference)} == digests(reference)
    runs = own.registry().search_runs([own.registry().get_experiment_by_name("reviews").experiment_id], max_results=500)
    assert "RUNNING" not in {one.info.status for one in runs}
    stages = [
        one for one in runs if one.data.tags.get("transferline.kind") == "stage" and one.info.status == "FINISHED"
    ]
    assert len({one.data.params["key"] for one in stages}) == len(digests(reference))


def test_a_run_that_keeps_dying_is_given_up_with_its_cause(own: Served) -> None:
    run = own.start("retrain/on-demand", target="reviews")
    deadline = time.monotonic() + 300
    while own.state(run).type.value != "FAILED" and time.monotonic() < deadline:
        if making(own.project, "tune") or making(own.project, "adapt") or making(own.project, "base"):
            for process in own.of_run(run):
                kill(process)
        time.sleep(0.2)
    state = own.state(run)
    assert state.is_failed(), own.logs(run)
    assert "died 3 times and is not started again; the last time: " in state.message


def test_a_cron_of_one_minute_fires_and_does_not_pile_up(own: Served) -> None:
    """The worker is stopped during several scheduled times: one run makes up for all missed ones."""
    path = own.project / "params.yaml"
    declared = yaml.safe_load(path.read_text())
    declared["operations"] = {"reviews": {"cron": "* * * * *", "recipe": "full"}}
    path.write_text(yaml.safe_dump(declared, sort_keys=False))
    assert own.transferline("deploy").returncode == 0
    wait_for(lambda: any(r.state.is_completed() for r in own.runs("retrain")), 200)
    [worker] = [
        p for p in own.processes("prefect", "worker", "start") if "python" in p.name() or p.children is not None
    ][:1]
    worker.send_signal(signal.SIGSTOP)
    time.sleep(250)
    before = sum(r.state.is_completed() for r in own.runs("retrain"))
    worker.send_signal(signal.SIGCONT)
    time.sleep(50)
    runs = own.runs("retrain")
    late = [r for r in runs if r.state.is_completed()]
    cancelled = [r for r in runs if r.state.is_cancelled()]
    assert len(late) - before in (1, 2)  # one for the missed times, and perhaps one for the next minute
    assert len(cancelled) >= 2
    spans = sorted((r.start_time, r.end_time) for r in runs if r.start_time and r.end_time)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_ctrl_c_in_the_middle_and_the_next_start_goes_on(tmp_path: Path) -> None:
    reference = reference_of(tmp_path)
    project = make_two_targets(tmp_path / "project")
    first = serve(project, tmp_path / "home")
    run = first.start("retrain/on-demand", target="reviews")
    wait_for(lambda: making(project, "tune"), 120)
    first.end()
    assert not first.ours
    second = serve(project, tmp_path / "home")
    try:
        assert second.finish(run).is_completed(), second.logs(run)
        assert {key: digests(project).get(key) for key in digests(reference)} == digests(reference)
    finally:
        second.end()
