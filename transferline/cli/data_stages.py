"""Commands of the data stages, called by dvc.yaml, one per stage.

DVC identifies a stage by its command line, which includes `--rules`. Raise that number when a command's behaviour changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from transferline.core.errors import InputError
from transferline.recipes.params import Params, load_params

Block = TypeVar("Block")
Rules = Annotated[int, typer.Option(help="Version of this command's behaviour. DVC reruns the stage when it changes.")]
app = typer.Typer(help="Run data stages and publish new versions of the data.", no_args_is_help=True)


@app.command("fetch")
def fetch_source(source: str, rules: Rules = 1) -> None:
    """Fetch a source of params.yaml into data/raw/SOURCE."""
    from transferline.data.fetch import fetch

    fetch(source, _declared(_params().sources, source, "sources"), Path("data/raw") / source)


@app.command("prepare")
def prepare_target(target: str, rules: Rules = 1) -> None:
    """Check and split a target's rows, and remove copies of test rows from its training data."""
    from transferline.data.prepare import prepare

    spec = _declared(_params().targets, target, "targets")
    prepare(target, spec, Path(), Path("data/prepared") / spec.domain / target)


@app.command("corpus")
def prepare_domain(domain: str, rules: Rules = 1) -> None:
    """Prepare a domain's raw text, without copies of test and validation rows of its targets."""
    from transferline.data.corpus import prepare_corpus

    spec = _declared(_params().domains, domain, "domains")
    prepare_corpus(domain, spec, Path(), Path("data/prepared") / domain, Path("data/corpora") / domain)


@app.command("pair")
def prepare_source_rows(pair: str, rules: Rules = 1) -> None:
    """Prepare a source task's rows, without copies of the target task's test and validation rows."""
    from transferline.data.pair import prepare_pair

    prepare_pair(pair, _declared(_params().pairs, pair, "pairs"), Path("data/prepared"), Path("data/pairs") / pair)


def _params() -> Params:
    """params.yaml of the current folder: DVC runs its stages in the folder of dvc.yaml, where params.yaml lies too."""
    return load_params(Path("params.yaml"))


def _declared(block: dict[str, Block], name: str, title: str) -> Block:
    if name not in block:
        raise InputError(
            "params.yaml", f"{name!r} is not under `{title}`", f"Known: {', '.join(sorted(block)) or 'none'}"
        )
    return block[name]
