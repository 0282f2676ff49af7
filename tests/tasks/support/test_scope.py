"""Two projects on one Prefect and one MLflow server: each keeps its own deployments, automations, pools, models and runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from tests.project import SOURCE, declare
from transferline.core.errors import InputError
from transferline.recipes.params import load_params
from transferline.tasks.promoting import promote, version_of_alias
from transferline.tasks.registering import find_champion
from transferline.tasks.support.automations import automate
from transferline.tasks.support.deployments import declared, deploy
from transferline.tasks.support.lineage import find_version, lineage_of
from transferline.tasks.support.scope import artifact_key, owner, scoped, scoped_pool, target_of_model
from transferline.tasks.support.tracking import client, experiment


def enter(folder: Path, project: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of that name, and this process inside it."""
    folder.mkdir(parents=True, exist_ok=True)
    declare(folder, **({"project": project} if project else {}))
    (folder / "prefect.yaml").write_text((SOURCE / "prefect.yaml").read_text())
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(folder))
    monkeypatch.chdir(folder)
    return folder


def test_names_are_those_of_params_yaml_without_a_declared_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(tmp_path / "film-repo", "", monkeypatch)
    assert (scoped("film"), scoped_pool("transferline"), owner()) == ("film", "transferline", "film-repo")
    assert artifact_key("report", "Film_one") == "report-film-one"
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path / "nowhere"))
    assert scoped("film") == "film"


def test_a_declared_project_stands_before_every_name_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path / "clone", "cinema", monkeypatch)
    assert scoped("film") == scoped(scoped("film")) == "cinema.film"
    assert target_of_model("cinema.film") == target_of_model("film") == "film"
    assert (scoped_pool("transferline-gpu"), scoped_pool("our-kubernetes")) == (
        "transferline-gpu-cinema",
        "our-kubernetes",
    )
    assert artifact_key("compare", "film", "default") == "compare-cinema-film-default"


@pytest.mark.parametrize("name", ["a b", "a/b", "1", "a.b", "../a", "x;y", "-a"])
def test_a_project_has_a_plain_name(tmp_path: Path, name: str) -> None:
    declare(tmp_path, project=name)
    with pytest.raises(InputError, match="project"):
        load_params(tmp_path / "params.yaml")


def all_names() -> tuple[set[str], set[str], set[str]]:
    """Names of all deployments, automations and work pools on the server."""
    with get_client(sync_client=True) as server:
        flows = {flow.id: flow.name for flow in server.read_flows()}
        deployments = {f"{flows[one.flow_id]}/{one.name}" for one in server.read_deployments()}
        return (
            deployments,
            {one.name for one in server.read_automations()},
            {one.name for one in server.read_work_pools()},
        )


def test_projects_on_one_prefect_server_replace_nothing_of_each_other(
    tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, set[str]] = {}
    for name in ("cinema", "theatre", "cinema"):  # the first deploys once more
        folder = enter(tmp_path / name, name, monkeypatch)
        kept[name] = {*deploy(declared(load_params(folder / "params.yaml"))), *automate(())}
        deployments, automations, pools = all_names()
        assert set().union(*kept.values()) <= deployments | automations
        assert f"transferline-{name}" in pools
    assert not kept["cinema"] & kept["theatre"]
    assert len(kept["cinema"]) == len(kept["theatre"])


def test_a_deployment_of_another_project_is_not_replaced(
    tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = enter(tmp_path / "one-repo", "", monkeypatch)
    deploy(declared(load_params(first / "params.yaml"))[:1])
    deploy(declared(load_params(first / "params.yaml"))[:1])  # its own may be
    second = enter(tmp_path / "another-repo", "", monkeypatch)
    with pytest.raises(InputError, match=r"belongs to the project 'one-repo' on this server\. Declare `project: NAME`"):
        deploy(declared(load_params(second / "params.yaml"))[:1])
    with get_client(sync_client=True) as server:
        for one in server.read_deployments():
            if "project-one-repo" in one.tags:
                server.delete_deployment(one.id)


def test_models_and_experiments_of_one_target_name_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / "store"))
    for project in ("cinema", "theatre"):
        enter(tmp_path / project, project, monkeypatch)
        client().create_registered_model(scoped("reviews"))
        for number in (1, 2):
            tags = {"transferline.key": f"tune-{project}-{number}"}
            client().create_model_version(scoped("reviews"), f"file://{tmp_path}/model", tags=tags)
    enter(tmp_path / "cinema", "cinema", monkeypatch)
    promote(scoped("reviews"), "2", "better")
    assert find_version("reviews").tags["transferline.key"] == "tune-cinema-2"
    assert find_version("cinema.reviews@2").name == "cinema.reviews"
    assert lineage_of("reviews")["rebuild"].strip() == "transferline run reviews"
    mine = experiment(scoped("reviews"))
    enter(tmp_path / "theatre", "theatre", monkeypatch)
    assert find_champion.fn("reviews") is None
    assert version_of_alias("cinema.reviews", "champion") is not None
    assert experiment(scoped("reviews")) != mine
