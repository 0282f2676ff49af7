"""Commands for operation: servers, deployments, data, model registry, checkpoint store."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

Device = Literal["auto", "cpu", "cuda"]
console = Console(markup=False, highlight=False, soft_wrap=True)


def serve(
    host: Annotated[
        str, typer.Option(help="Address to bind. Any address but loopback requires passwords.")
    ] = "127.0.0.1",
    prefect_port: Annotated[int, typer.Option(help="Port of the Prefect server.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow server.")] = 5000,
) -> None:
    """Start the Prefect and MLflow servers, the workers and all deployments. Ctrl-C ends them all."""
    from transferline.recipes.params import project_params
    from transferline.tasks.support.orphans import end_orphans
    from transferline.tasks.support.services import addresses, run, services

    project_params()  # report a wrong params.yaml before anything starts
    end_orphans()  # servers of a killed service still hold the ports
    where = addresses(host, prefect_port, mlflow_port)
    run(where, *services(where, host, prefect_port, mlflow_port), say=console.print)


def serve_model(
    model: Annotated[str, typer.Argument(help="MODEL@VERSION, MODEL@ALIAS or MODEL, which is its champion")],
    host: Annotated[
        str, typer.Option(help="Address to bind. The server asks for no password: put a proxy before it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5123,
    largest: Annotated[float, typer.Option(help="Largest request, in megabytes.", min=0.001)] = 10.0,
) -> None:
    """Answer texts over HTTP with a registered version, until Ctrl-C."""
    from transferline.tasks.support.lineage import find_version
    from transferline.tasks.support.model_server import serve_version

    serve_version(find_version(model), host, port, round(largest * 10**6))


def deploy(
    quiet: Annotated[bool, typer.Option(help="Print only errors.")] = False,
) -> None:
    """Register deployments, dropdowns, schedules and automations on the configured Prefect server; again at any time."""
    from transferline.core.errors import InputError
    from transferline.core.settings import settings
    from transferline.recipes.params import project_params

    params = project_params()
    if not settings().prefect_api_url:
        mend = "Set it to your server's, or start everything here with `transferline serve`"
        raise InputError("PREFECT_API_URL", "no Prefect server is named", mend)
    from transferline.tasks.support.automations import automate
    from transferline.tasks.support.deployments import declared
    from transferline.tasks.support.deployments import deploy as register

    names = register(declared(params))
    automations = automate(params.notify)
    if not quiet:
        console.print("deployments:", *(f"\n  {name}" for name in names))
        console.print("automations:", *(f"\n  {name}" for name in automations))


def watch(
    target: str,
    stream: Annotated[str, typer.Option(help="File or folder of texts. Default: the stream in params.yaml.")] = "",
    threshold: Annotated[
        float, typer.Option(help="Proxy A-distance (0 to 2) that counts as drift. Default: as in params.yaml.")
    ] = 0.0,
) -> None:
    """Measure the drift of a target's incoming texts. Exit code 3 if it exceeds the threshold."""
    from transferline.flows.watch import watch as flow
    from transferline.tasks.support.prefect_server import make_ready

    make_ready()
    if flow(target, stream, threshold)["alarm"]:
        raise typer.Exit(3)


def predict(
    target: str,
    source: Annotated[str, typer.Argument(help="File or folder of texts.")],
    output: Annotated[
        str, typer.Option(help="Table to write: .parquet, .csv, .tsv or .jsonl.")
    ] = "predictions.parquet",
    *,
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    pair: Annotated[str, typer.Option(help="Column of the second text, for models of text pairs.")] = "",
    version: Annotated[str, typer.Option(help="Alias or number of the registered version.")] = "champion",
    device: Annotated[Device, typer.Option(help="Where to compute.")] = "auto",
) -> None:
    """Predict the label of every text in a file or folder with a registered model."""
    from transferline.flows.predict import predict as flow
    from transferline.tasks.support.prefect_server import make_ready

    make_ready()
    flow(target, source, output, text=text, pair=pair, version=version, device=device)


def promote(
    model: Annotated[str, typer.Argument(help="MODEL@VERSION or MODEL@challenger")],
    reason: Annotated[str, typer.Option(help="The reason, recorded with the version.")],
) -> None:
    """Make a registered version the champion, without a verdict."""
    from transferline.tasks.promoting import promote as move
    from transferline.tasks.support.lineage import find_version

    version = find_version(model)
    before = move(version.name, str(version.version), reason)
    console.print(f"{version.name}: champion is version {version.version}" + (f", after {before}" if before else ""))


def rollback(
    model: Annotated[str, typer.Argument(help="Name of a registered model, which is the name of its target.")],
    reason: Annotated[str, typer.Option(help="The reason, recorded with the version.")],
) -> None:
    """Move the champion alias back to the previous champion."""
    from transferline.tasks.promoting import rollback as move
    from transferline.tasks.support.scope import scoped

    before, now = move(scoped(model), reason)
    console.print(f"{model}: champion is version {now} again, after version {before}")


def lineage(model: Annotated[str, typer.Argument(help="MODEL@VERSION, MODEL@ALIAS or MODEL")]) -> None:
    """What a registered version was made from, and the one command that makes it again."""
    from transferline.tasks.support.lineage import lineage_of

    for name, value in lineage_of(model).items():
        lines = [f"{role} {md5}" for role, md5 in value.items()] if isinstance(value, dict) else value
        shown = "\n                   ".join(lines) if isinstance(lines, list) else lines
        console.print(f"{name:18} {shown or '-'}")


def models() -> None:
    """List registered models with their versions, aliases, and the reason of the last promotion."""
    from transferline.tasks.support.tracking import client

    table = Table()
    for column in ("model", "version", "aliases", "role", "key", "why"):
        table.add_column(column)
    for model in client().search_registered_models(max_results=1000):
        aliases: dict[str, list[str]] = {}
        for alias, number in model.aliases.items():
            aliases.setdefault(str(number), []).append(alias)
        versions = client().search_model_versions(f"name = '{model.name}'")
        for version in sorted(versions, key=lambda v: int(v.version)):
            tags = [version.tags.get(f"transferline.{name}", "") for name in ("role", "key", "why")]
            number = str(version.version)
            table.add_row(model.name, number, ", ".join(aliases.get(number, [])), *tags)
    Console(markup=False, width=None if console.is_terminal else 160).print(table)


def gc(
    days: Annotated[float, typer.Option(help="Keep checkpoints younger than this.")] = 30.0,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them. Without it they are only listed.")] = False,
) -> None:
    """List or delete checkpoints that no registered model, unfinished run or recent checkpoint needs."""
    from transferline.tasks.support.garbage import delete as remove
    from transferline.tasks.support.garbage import unneeded

    total = 0
    for one in unneeded(days):
        deleted = remove(one) if delete else False
        state = ("deleted" if deleted else "in use ") if delete else "unneeded"
        total += one.size
        console.print(f"  {state}  {one.folder.name:40} {one.size / 1e6:8.1f} MB")
    done = "deleted" if delete else "would be freed; run with --delete to delete"
    console.print(f"{total / 1e6:.1f} MB {done}")


def push(
    targets: Annotated[list[str] | None, typer.Argument(help="Names of targets. Default: all.")] = None,
    message: Annotated[str, typer.Option("-m", "--message", help="Message of the commit.")] = "Update data",
) -> None:
    """Bring the data up to date, store it, commit dvc.lock, and tell which targets it touches: their retrains start."""
    from transferline.core.settings import settings
    from transferline.recipes.params import project_params
    from transferline.tasks.support.data_updates import push_data
    from transferline.tasks.support.events import tell

    params = project_params()
    names = list(targets or params.targets)
    touched, commit = push_data(params, names, message)
    server = settings().prefect_api_url
    for target in touched if server else []:
        tell("data.changed", target, f"{target}: new data, commit {commit[:8]}", revision=commit)
    console.print(f"committed {commit[:8]}" if commit else "dvc.lock is unchanged")
    console.print("changed targets: " + (", ".join(touched) or "none"))
    if touched and not server:
        console.print("PREFECT_API_URL is not set: no event was sent, so no retrain starts")
