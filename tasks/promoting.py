"""Move the champion alias: promote, roll back, and record each move at the registered model.

A lease per model serialises the moves, because MLflow does not lock its aliases. A move takes several requests. It is first
written as a pending move, in a tag. If the process is killed, the next command that reads the champion completes the move.
"""

from __future__ import annotations

import getpass
import json
from dataclasses import dataclass
from typing import Any

from transferline.core.errors import InputError
from transferline.tasks.support.champion_history import (
    HISTORY,
    Move,
    champions_of,
    new_move,
    parsed,
    read_moves,
    written,
)
from transferline.tasks.support.champion_witness import remember_champion
from transferline.tasks.support.leases import exclusive
from transferline.tasks.support.tracking import client

PENDING = "transferline.move"  # tag of a registered model: JSON of the move that is under way


@dataclass(frozen=True)
class Approval:
    """Whether the champion alias may move, who approved it, and why."""

    given: bool
    by: str = "transferline"
    reason: str = ""


def version_of_alias(model: str, alias: str) -> Any:
    """The registered version that has an alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client().get_model_version_by_alias(model, alias)
    except MlflowException as error:
        # a missing model gives the first code, a missing alias of an existing model the second
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def current_champion(model: str) -> Any:
    """The champion's registered version, or None. Completes a move that was killed."""
    if PENDING in _tags(model):
        with exclusive(f"registry-{model}", everywhere=True):
            settle(model)
    return version_of_alias(model, "champion")


def promote(model: str, version: str, reason: str) -> str:
    """Make a version the champion on a person's decision. Returns the version it replaces ('' if there was none)."""
    with exclusive(f"registry-{model}", everywhere=True):
        settle(model)
        before = version_of_alias(model, "champion")
        _existing(model, version)
        move_champion(model, version, reason, getpass.getuser())
    return str(before.version) if before else ""


def rollback(model: str, reason: str, by: str = "") -> tuple[str, str]:
    """Move the alias back to the previous champion. Returns (from, to). Raises InputError if there is no previous one."""
    with exclusive(f"registry-{model}", everywhere=True):
        settle(model)
        now = version_of_alias(model, "champion")
        if now is None:
            raise InputError(f"models:/{model}@champion", "there is no champion", "Promote a version first")
        # MLflow returns a version as int from a database and as str from a server
        line, current = champions(model), str(now.version)
        if len(line) < 2 or line[-1] != current:
            mend = f"Name one yourself: transferline promote {model}@VERSION --reason ..."
            raise InputError(f"models:/{model}@champion", f"no champion before version {current} is recorded", mend)
        _existing(model, line[-2])
        _begin(model, new_move("rollback", line[-2], reason, by or getpass.getuser(), None))
    return current, line[-2]


def move_champion(model: str, version: str, reason: str, by: str) -> None:
    """Move the alias and record why. The caller must hold the model's lease."""
    now = version_of_alias(model, "champion")
    if now is not None and str(now.version) == version:
        return
    _begin(model, new_move("promote", version, reason, by, str(now.version) if now else None))


def settle(model: str) -> None:
    """Complete the pending move of a model, if there is one. The caller must hold the model's lease."""
    tags = _tags(model)
    if PENDING in tags:
        _complete(model, parsed(tags[PENDING], PENDING, model))


def moves(model: str) -> list[Move]:
    """Recorded moves of a model's champion alias, oldest first."""
    return read_moves(client().get_registered_model(model).tags, model)


def champions(model: str) -> list[str]:
    """Versions that were champion, oldest first."""
    return champions_of(moves(model))


def _begin(model: str, move: Move) -> None:
    client().set_registered_model_tag(model, PENDING, json.dumps(move, ensure_ascii=False))
    _complete(model, move)


def _complete(model: str, move: Move) -> None:
    """Every step may have been done before the process was killed: each leaves the same result when it is done again."""
    recorded = moves(model)
    if not any(one["at"] == move["at"] for one in recorded):
        client().set_registered_model_tag(model, HISTORY, written([*recorded, move]))
    why = f"{move['what']} by {move['by']}: {move['reason']}"
    client().set_model_version_tag(model, move["version"], "transferline.why", why[:4000])
    client().set_registered_model_alias(model, "champion", move["version"])
    key = client().get_model_version(model, move["version"]).tags.get("transferline.key", "")
    remember_champion(model, move["version"], key)
    client().delete_registered_model_tag(model, PENDING)


def _tags(model: str) -> dict[str, str]:
    """Tags of a registered model; none if there is no such model."""
    from mlflow.exceptions import MlflowException

    try:
        return dict(client().get_registered_model(model).tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}


def _existing(model: str, version: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client().get_model_version(model, version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = ", ".join(sorted(str(v.version) for v in client().search_model_versions(f"name = '{model}'"))) or "none"
        raise InputError(f"models:/{model}/{version}", "there is no such version", f"There are: {known}") from error
