"""Commands of the data stages, called by dvc.yaml, one per stage.

DVC identifies a stage by its command line, which includes `--rules`. Raise that number when a command's behaviour changes.

The command lines in dvc.yaml hold no names, because a shell runs them and anybody who edits params.yaml chooses the names. A stage
reads its name from DVC_STAGE, which DVC sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from transferline.core.errors import InputError, shown
from transferline.core.settings import settings
from transferline.recipes.params import Params, load_params

Block = TypeVar("Block")
Rules = Annotated[int, typer.Option(help="Version of this command's behaviour. DVC reruns the stage when it changes.")]
Named = Annotated[str | None, typer.Argument(help="Name in params.yaml. Default: of the stage that DVC runs.")]
app = typer.Typer(help="Run data stages and publish new versions of the data.", no_args_is_help=True)


@app.command("fetch")
def fetch_source(source: Named = None, rules: Rules = 1) -> None:
    """Fetch a source of params.yaml into data/raw/SOURCE."""
    from transferline.data.fetch import fetch

    name, spec = _declared(_params().sources, source, "fetch", "sources")
    fetch(name, spec, Path("data/raw") / name)


@app.command("prepare")
def prepare_target(target: Named = None, rules: Rules = 1) -> None:
    """Check and split a target's rows, and remove copies of test rows from its training data."""
    from transferline.data.prepare import prepare

    name, spec = _declared(_params().targets, target, "prepare", "targets")
    prepare(name, spec, Path(), Path("data/prepared") / spec.domain / name)


@app.command("corpus")
def prepare_domain(domain: Named = None, rules: Rules = 1) -> None:
    """Prepare a domain's raw text, without copies of test and validation rows of its targets."""
    from transferline.data.corpus import prepare_corpus

    name, spec = _declared(_params().domains, domain, "corpus", "domains")
    prepare_corpus(name, spec, Path(), Path("data/prepared") / name, Path("data/corpora") / name)


@app.command("pair")
def prepare_source_rows(pair: Named = None, rules: Rules = 1) -> None:
    """Prepare a source task's rows, without copies of the target task's test and validation rows."""
    from transferline.data.pair import prepare_pair

    name, spec = _declared(_params().pairs, pair, "pair", "pairs")
    prepare_pair(name, spec, Path("data/prepared"), Path("data/pairs") / name)


def _params() -> Params:
    """params.yaml of the current folder: DVC runs its stages in the folder of dvc.yaml, where params.yaml lies too."""
    return load_params(Path("params.yaml"))


def _declared(block: dict[str, Block], given: str | None, stage: str, title: str) -> tuple[str, Block]:
    """The name of an entry of params.yaml, given or from DVC's stage, and the entry."""
    name = given or _name_of(stage)
    if name not in block:
        raise InputError(
            "params.yaml", f"{shown(name)} is not under `{title}`", f"Known: {', '.join(sorted(block)) or 'none'}"
        )
    return name, block[name]


def _name_of(stage: str) -> str:
    """The name in DVC_STAGE, such as `film` in `prepare@film`. A dvc.yaml in another folder stands before a colon."""
    running, _, name = (settings().dvc_stage or "").rpartition(":")[2].partition("@")
    if running != stage or not name:
        mend = f"Name it: transferline data {stage} NAME. `dvc repro` names it by DVC_STAGE"
        raise InputError(f"data {stage}", "no name is given", mend)
    return name
