"""The commands of the data stages: dvc.yaml calls them, one a stage.

`--rules` is part of a stage's command line and so of its identity. It is raised when what the command does changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from transferline.core.errors import InputError
from transferline.recipes.params import Params, load_params

Declared = TypeVar("Declared")
Rules = Annotated[int, typer.Option(help="Version of what this command does; part of the stage's identity.")]
app = typer.Typer(help="Data stages, and new versions of the data.", no_args_is_help=True)


@app.command("fetch")
def fetch_source(source: str, rules: Rules = 1) -> None:
    """Bring a source of params.yaml to data/raw/SOURCE."""
    from transferline.data.fetch import fetch

    fetch(source, _declared(_params().sources, source, "sources"), Path("data/raw") / source)


@app.command("prepare")
def prepare_target(target: str, rules: Rules = 1) -> None:
    """Split a target's rows, check them and purge copies of the test."""
    from transferline.data.prepare import prepare

    spec = _declared(_params().targets, target, "targets")
    prepare(target, spec, Path(), Path("data/prepared") / spec.domain / target)


@app.command("corpus")
def prepare_domain(domain: str, rules: Rules = 1) -> None:
    """Purge a domain's raw text of every copy of a test or validation row of its targets."""
    from transferline.data.corpus import prepare_corpus

    spec = _declared(_params().domains, domain, "domains")
    prepare_corpus(domain, spec, Path(), Path("data/prepared") / domain, Path("data/corpora") / domain)


@app.command("pair")
def prepare_source_rows(pair: str, rules: Rules = 1) -> None:
    """Purge a source task's rows of every copy of the target task's test and validation rows."""
    from transferline.data.pair import prepare_pair

    prepare_pair(pair, _declared(_params().pairs, pair, "pairs"), Path("data/prepared"), Path("data/pairs") / pair)


def _params() -> Params:
    """DVC starts its stages in the folder of dvc.yaml; params.yaml lies beside it."""
    return load_params(Path("params.yaml"))


def _declared(block: dict[str, Declared], name: str, title: str) -> Declared:
    if name not in block:
        raise InputError("params.yaml", f"{name!r} is not under `{title}`", f"Known are {sorted(block)}")
    return block[name]
