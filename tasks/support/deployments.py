"""Register the deployments of prefect.yaml, with the dropdowns and schedules of params.yaml, on the configured server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, ValidationError

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.core.settings import given, inherited, settings
from transferline.core.uris import has_credentials
from transferline.recipes.params import Params
from transferline.recipes.strict_yaml import read_yaml
from transferline.recipes.validation_errors import explain
from transferline.tasks.support.restarts import RESTART
from transferline.tasks.support.scope import project_tag, scoped, scoped_pool

TAG = "transferline"
TEND = "transferline.flows.tend.tend"
EVERY = "*/5 * * * *"  # schedule of `tend`, which restarts crashed runs where no `transferline serve` does
HEARTBEAT = "30"  # seconds, the shortest interval that Prefect allows; a missing heartbeat marks a run as crashed
_VARIABLE = re.compile(r"\{\{\s*\$([A-Z_]+)\s*\}\}")


class Pool(BaseModel):
    """The work pool of a deployment in prefect.yaml."""

    name: str


class ListedDeployment(BaseModel):
    """One deployment in prefect.yaml. Prefect's other fields are allowed, and not read."""

    name: str
    entrypoint: str
    work_pool: Pool
    tags: tuple[str, ...] = (TAG,)
    description: str = ""
    parameters: dict[str, Any] = {}


class PrefectFile(BaseModel):
    """The parts of prefect.yaml that `transferline deploy` reads."""

    deployments: tuple[ListedDeployment, ...] = ()
    pull: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Deployment:
    """A deployment to register: flow, name, work pool, default parameters and schedule."""

    name: str
    entrypoint: str
    pool: str
    tags: tuple[str, ...]
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cron: str | None = None
    timezone: str = "UTC"
    single: bool = False


def declared(params: Params) -> list[Deployment]:
    """The deployments of prefect.yaml, and one for each schedule in params.yaml."""
    found = [
        Deployment(
            scoped(entry.name),
            entry.entrypoint,
            scoped_pool(entry.work_pool.name),
            entry.tags,
            entry.description,
            entry.parameters,
        )
        for entry in _prefect_yaml().deployments
    ]
    pools = {one.entrypoint: one.pool for one in found}
    tags = (TAG, RESTART, "transferline-scheduled")
    for name, operation in params.operations.items():
        if operation.cron:
            form = {"target": name, "recipe": operation.recipe or "own"}
            found.append(_scheduled("transferline.flows.retrain.retrain", name, pools, tags, form, operation))
        if operation.watch and operation.watch.cron:
            found.append(
                _scheduled("transferline.flows.watch.watch", name, pools, (TAG,), {"target": name}, operation.watch)
            )
    # without `transferline serve`, `tend` runs on a schedule, one run at a time
    if not tended():
        found = [replace(one, cron=EVERY, single=True) if one.entrypoint == TEND else one for one in found]
    return found


def tended() -> bool:
    """Whether a `transferline serve` looks after the runs itself."""
    return settings().tended


def _scheduled(
    entrypoint: str, name: str, pools: Mapping[str, str], tags: tuple[str, ...], given: dict[str, Any], when: Any
) -> Deployment:
    pool = pools.get(entrypoint, scoped_pool(TAG))  # the pool of the same flow in prefect.yaml
    about = f"Scheduled run for {name}. A run that would overlap the previous one is cancelled."
    return Deployment(scoped(name), entrypoint, pool, tags, about, given, when.cron, when.timezone, single=True)


def deploy(wanted: Sequence[Deployment]) -> list[str]:
    """Register deployments and their work pools, and delete this project's other deployments. Returns `flow/name` of each."""
    schedules = [_schedule(one) for one in wanted]
    with get_client(sync_client=True) as client:
        for pool in dict.fromkeys(one.pool for one in wanted):
            _ensure_pool(client, pool)
        names = [_register(client, one, schedule) for one, schedule in zip(wanted, schedules, strict=True)]
        _remove_others(client, names)
    return names


def _register(client: SyncPrefectClient, one: Deployment, schedule: CronSchedule | None) -> str:
    flow = _load(one.entrypoint)
    _check_owner(client, f"{flow.name}/{one.name}")
    # with a limit of one run, CANCEL_NEW keeps missed schedules from piling up after an outage
    alone = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    client.create_deployment(
        flow_id=client.create_flow(flow),
        name=one.name,
        entrypoint=one.entrypoint,
        path=str(root()),
        pull_steps=_pull_steps(),
        parameters=dict(one.parameters),
        parameter_openapi_schema=_schema(flow),
        enforce_parameter_schema=flow.should_validate_parameters,
        work_pool_name=one.pool,
        tags=[*one.tags, project_tag()],
        # without a description of its own: the docstring up to its parameters, which the form shows by themselves
        description=one.description or (flow.description or "").split("\n\nArgs:")[0].strip(),
        schedules=[DeploymentScheduleCreate(schedule=schedule, active=True)] if schedule else [],
        job_variables={"env": _environment()},
        concurrency_limit=1 if one.single else None,
        concurrency_options=alone if one.single else None,
    )
    return f"{flow.name}/{one.name}"


def _check_owner(client: SyncPrefectClient, name: str) -> None:
    """Raise InputError if another project has a deployment of this name: it would be replaced."""
    try:
        tags = client.read_deployment_by_name(name).tags
    except ObjectNotFound:
        return
    others = [tag.removeprefix("project-") for tag in tags if tag.startswith("project-") and tag != project_tag()]
    if others:
        mend = "Declare `project: NAME` in params.yaml, so that names are apart. Clones of one project declare the same name"
        raise InputError(f"deployment {name}", f"belongs to the project {others[0]!r} on this server", mend)


def _schema(flow: Flow[Any, Any]) -> dict[str, Any]:
    """JSON schema of the form: readable titles, and the dropdowns that the types of the flow's parameters declare."""
    schema = parameter_schema(flow).model_dump(exclude_unset=True)
    for name, entry in schema.get("properties", {}).items():
        entry["title"] = name.replace("_", " ").capitalize()
    return schema


def _schedule(one: Deployment) -> CronSchedule | None:
    """The schedule of a deployment. The check of params.yaml is stricter (recipes/schedules.py), so Prefect accepts it."""
    return CronSchedule(cron=one.cron, timezone=one.timezone) if one.cron else None


def _environment() -> dict[str, str]:
    """What a flow's process is told beside what its worker has; never a secret: workers bring those themselves."""
    told = given("placement", "store", "gpu_slots", "offline")
    # everybody who may read deployments sees them: a store with a password is the worker's own business
    told = {name: value for name, value in told.items() if not has_credentials(value)}
    return {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": HEARTBEAT, **told}


def _ensure_pool(client: SyncPrefectClient, name: str) -> None:
    """Create a process work pool unless one of that name exists. An existing one (Kubernetes, say) is not changed."""
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", description="made by transferline"))


def _remove_others(client: SyncPrefectClient, names: Sequence[str]) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    # both tags: several projects may share a server, and a project must not delete the deployments of another
    of_project = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG, project_tag()]))
    flows: dict[Any, str] = {}
    for one in client.read_deployments(deployment_filter=of_project):
        flows.setdefault(one.flow_id, client.read_flow(one.flow_id).name)
        if f"{flows[one.flow_id]}/{one.name}" not in names:
            client.delete_deployment(one.id)


def _load(entrypoint: str) -> Flow[Any, Any]:
    from importlib import import_module

    module, _, name = entrypoint.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        mend = "Write an entrypoint such as transferline.flows.retrain.retrain"
        raise InputError("prefect.yaml", f"there is no flow {entrypoint!r} ({error})", mend) from error
    return found


def _pull_steps() -> list[dict[str, Any]]:
    """The pull section of prefect.yaml, environment variables filled in; block references stay for the worker."""
    known = inherited(root=root())
    text = yaml.safe_dump(_prefect_yaml().pull or [])
    return yaml.safe_load(_VARIABLE.sub(lambda found: known.get(found.group(1), ""), text))


def _prefect_yaml() -> PrefectFile:
    """prefect.yaml of the project. Raises InputError if there is none, or with the line of a mistake."""
    path = root() / "prefect.yaml"
    if not path.exists():
        raise InputError(path, "there is no such file", "Copy it from the transferline repository, or run there")
    document = read_yaml(path)
    try:
        return PrefectFile.model_validate(document.value)
    except ValidationError as error:
        raise explain(document, error, PrefectFile) from error
