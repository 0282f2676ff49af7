"""The service: forms, retrain, killed process, data and drift events, notifications, approval, rollback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml
from prefect.exceptions import ObjectNotFound

from tests.flows.test_kill import reference_of
from tests.flows.test_retrain import digests, transferline
from tests.operations.service import Served, kill, making, wait_for
from tests.project import write_reviews


def change(service: Served, **blocks: Any) -> None:
    """Change params.yaml and deploy again."""
    path = service.project / "params.yaml"
    declared = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**declared, **blocks}, sort_keys=False))
    done = service.transferline("deploy")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict]]]:
    """A webhook on loopback. Yields its address and the messages it has received."""
    heard: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", heard
    server.shutdown()


def test_the_forms_offer_targets_and_recipes_and_refuse_others(service: Served) -> None:
    with service.client() as client:
        form = client.read_deployment_by_name("retrain/on-demand").parameter_openapi_schema["properties"]
        assert form["target"]["enum"] == ["reviews", "plays", "coins"]
        assert form["recipe"]["enum"] == ["own", "auto", "default", "masked", "full", "probe"]
        assert form["device"]["enum"] == ["auto", "cpu", "cuda"]
        assert "params.yaml" in form["target"]["description"]
        asking = client.read_deployment_by_name("compare/on-demand").parameter_openapi_schema["properties"]
        assert asking["comparison"]["enum"] == ["default"]
        assert asking["recipes"]["anyOf"][0]["items"]["type"] == "string"
        assert "label budgets" in asking["budgets"]["description"]
        assert client.read_deployment_by_name("watch/on-demand").parameter_openapi_schema["properties"]["target"][
            "enum"
        ]
    with pytest.raises(Exception, match="nothing"):
        service.start("retrain/on-demand", target="nothing")
    bad = service.start("retrain/on-demand", target="reviews", seeds=1)
    assert "too few for a verdict" in service.finish(bad).message


@pytest.mark.slow
def test_a_killed_flow_process_is_started_again_and_ends_as_if_never_killed(service: Served, tmp_path) -> None:
    """After SIGKILL the worker marks the run as crashed, the service restarts it, and finished stages are reused."""
    reference = reference_of(tmp_path)
    run = service.start("retrain/on-demand", target="reviews")
    wait_for(lambda: making(service.project, "tune"), 120)
    victims = service.of_run(run)
    assert victims
    for process in victims:
        kill(process)
    state = service.finish(run)
    assert state.is_completed(), f"{state.message}\n{service.logs(run)}"
    with service.client() as client:
        assert client.read_flow_run(run).run_count >= 2
    ours = digests(service.project)
    assert {key: ours.get(key) for key in digests(reference)} == digests(reference)


@pytest.mark.slow
def test_new_data_retrains_exactly_the_targets_it_touches(service: Served) -> None:
    first = service.start("retrain/on-demand", target="plays")
    assert service.finish(first).is_completed()
    known = len(service.runs("retrain"))
    pushed = service.transferline("data", "push", "-m", "the first data")
    assert pushed.returncode == 0, pushed.stderr
    announced = sum(name in pushed.stdout.split("changed targets:")[1] for name in ("reviews", "plays", "coins"))
    wait_for(lambda: len(service.runs("retrain")) >= known + announced, 120)
    before = {run.id for run in service.runs("retrain")}
    write_reviews(service.project / "plays.csv", 260, seed=9)
    done = service.transferline("data", "push", "-m", "more plays")
    assert done.returncode == 0, done.stderr
    assert "changed targets: plays" in done.stdout
    wait_for(lambda: any(run.id not in before for run in service.runs("retrain")), 60)
    time.sleep(5)
    started = [run for run in service.runs("retrain") if run.id not in before]
    assert [run.parameters["target"] for run in started] == ["plays"]
    assert service.finish(started[0].id).is_completed()
    again = service.transferline("data", "push")
    assert "dvc.lock is unchanged" in again.stdout
    assert "changed targets: none" in again.stdout


@pytest.mark.slow
def test_what_others_commit_is_noticed_on_the_branch(service: Served) -> None:
    """The first call stores the version of the data, the second compares with it."""
    known: set[Any] = set()
    for rows in (265, 275):
        known = {run.id for run in service.runs("retrain")}
        write_reviews(service.project / "plays.csv", rows, seed=9)
        quiet = transferline(service.project, "data", "push", "-m", f"{rows} rows", PREFECT_API_URL="")
        assert quiet.returncode == 0, quiet.stderr
        look = service.start("notice-data/on-demand", fetch=False)
        assert service.finish(look).is_completed()
    wait_for(lambda: any(run.id not in known for run in service.runs("retrain")), 60)
    [newest] = [run for run in service.runs("retrain") if run.id not in known]
    assert newest.parameters["target"] == "plays"
    assert service.finish(newest.id).is_completed()


def test_verdicts_and_failures_reach_a_webhook_and_a_person_approves(service: Served, hook) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    address, heard = hook
    message = {"subject": "{{subject}}", "text": "{{body}}"}
    with service.client():
        block = CustomWebhookNotificationBlock(name="team", url=address, json_data=message)
        block.save("team", overwrite=True)
    first = service.start("retrain/on-demand", target="coins")
    assert service.finish(first).is_completed()
    change(service, notify=["custom-webhook/team"], operations={"coins": {"approval": True}})
    versions = service.registry()
    run = service.start("retrain/on-demand", target="coins", recipe="probe")
    wait_for(lambda: service.state(run).type.value in ("PAUSED", "COMPLETED", "FAILED"), 200)
    assert service.state(run).type.value == "PAUSED", service.logs(run)
    assert versions.get_model_version_by_alias("coins", "champion").version == "1"
    with service.client() as client:
        client.resume_flow_run(run, run_input={"approve": True, "reason": "looks right", "name": "Ada"})
    assert service.finish(run).is_completed()
    now = versions.get_model_version_by_alias("coins", "champion")
    assert now.version != "1"
    assert now.tags["transferline.why"] == "promote by Ada: looks right"
    wait_for(lambda: any("promote the challenger" in said["text"] for said in heard), 30)
    bad = service.start("retrain/on-demand", target="coins", seeds=1)
    assert service.finish(bad).is_failed()
    wait_for(lambda: any(said["subject"] == "transferline.failure" for said in heard), 30)
    back = service.start("rollback/on-demand", target="coins", reason="complaints")
    assert service.finish(back).is_completed()
    assert versions.get_model_version_by_alias("coins", "champion").version == "1"
    change(service, notify=[], operations={})


def test_lineage_names_data_commit_and_the_command_that_rebuilds(service: Served) -> None:
    said = service.transferline("lineage", "coins@1").stdout
    assert "train " in said
    assert "git checkout" in said
    assert "transferline run coins full" in said
    assert service.transferline("lineage", "coins@99").returncode == 2


def test_a_shifted_stream_raises_the_alarm_and_an_unshifted_one_does_not(service: Served, tmp_path) -> None:
    import random

    from tests.project import BAD, GOOD, sentence

    write_reviews(tmp_path / "same.csv", 120, seed=77)
    rng = random.Random(5)
    tilted = "\n".join(sentence(rng, GOOD[:3] + BAD[:1], 5) for _ in range(120))
    (tmp_path / "other.txt").write_text(tilted + "\n")
    same = service.start("watch/on-demand", target="coins", stream=str(tmp_path / "same.csv"), threshold=0.6)
    other = service.start("watch/on-demand", target="coins", stream=str(tmp_path / "other.txt"), threshold=0.6)
    assert service.finish(same).is_completed()
    assert service.finish(other).is_completed()
    wait_for(lambda: "coins: " in service.logs(same) and "coins: " in service.logs(other), 30)  # logs arrive in batches
    assert "coins: no drift" in service.logs(same)
    assert "coins: drift" in service.logs(other)


def test_a_schedule_appears_with_the_declaration_and_goes_with_it(service: Served) -> None:
    change(service, operations={"plays": {"cron": "0 3 * * 1", "timezone": "Europe/Berlin"}})
    with service.client() as client:
        found = client.read_deployment_by_name("retrain/plays")
        assert found.schedules[0].schedule.cron == "0 3 * * 1"
        assert found.parameters == {"target": "plays", "recipe": "own"}
        assert found.concurrency_options.collision_strategy.value == "CANCEL_NEW"
    change(service, operations={})
    with service.client() as client, pytest.raises(ObjectNotFound):
        client.read_deployment_by_name("retrain/plays")
    path = service.project / "params.yaml"
    declared = path.read_text()
    path.write_text(declared.replace("operations: {}", "operations: {plays: {cron: every monday}}"))
    done = service.transferline("deploy")
    path.write_text(declared)
    assert done.returncode == 2
    assert "operations.plays.cron: 'every monday' has 2 fields, not 5" in done.stderr
    assert service.process.poll() is None, "a wrong params.yaml ended the service"
