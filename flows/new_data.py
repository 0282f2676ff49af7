"""Detect a new data version on the tracked branch and emit an event for each changed target, which starts its retrain."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.variables import Variable
from slugify import slugify

from transferline.flows.support.preflight import begin
from transferline.recipes.params import project_params
from transferline.tasks.support.data_updates import pinned_at, tracked, update_branch
from transferline.tasks.support.events import tell
from transferline.tasks.support.progress import console, log
from transferline.tasks.support.scope import owner


@flow(name="notice-data", flow_run_name="notice data", validate_parameters=True)
def notice_data(branch: str = "", fetch: bool = True) -> list[str]:
    """Compare a branch's dvc.lock with the previous one. Emits `transferline.data.changed` for each changed target.

    Args:
        branch: the tracked branch (default: the current branch)
        fetch: fetch from the git remote first, if there is one
    """
    begin()
    wanted = branch or tracked()
    revision = update_branch(wanted, fetch)
    params = project_params()
    now = pinned_at(revision, params)
    name = f"transferline_data_{slugify(owner(), separator='_')}_{slugify(wanted, separator='_')}"
    before: Any = Variable.get(name, default=None)
    # the first call has nothing to compare with: it only stores the current version
    touched: list[str] = (
        [] if before is None else [target for target, md5s in now.items() if before.get(target) != md5s]
    )
    for target in touched:
        tell("data.changed", target, f"{target}: new data on {wanted}", revision=revision)
    Variable.set(name, now, overwrite=True)
    message = f"{wanted} at {revision[:8]}: {', '.join(touched) or 'no target'} changed"
    console.print(message)
    log(message)
    return touched
