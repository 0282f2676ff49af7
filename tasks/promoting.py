"""Move the champion alias: promote, roll back, and record each move at the registered model.

A lease per model serialises the moves, because MLflow does not lock its aliases.
"""

from __future__ import annotations

import getpass
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from transferline.core.errors import InputError
from transferline.tasks.support.leases import exclusive
from transferline.tasks.support.tracking import client

HISTORY = "transferline.champions"  # tag of a registered model: JSON list of its moves, oldest first
KEPT = 40  # moves kept in the tag: MLflow limits the length of a tag's value


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


def promote(model: str, version: str, reason: str) -> str:
    """Make a version the champion on a person's decision. Returns the version it replaces ('' if there was none)."""
    with exclusive(f"registry-{model}", everywhere=True):
        before = version_of_alias(model, "champion")
        _existing(model, version)
        move_champion(model, version, reason, getpass.getuser())
    return str(before.version) if before else ""


def rollback(model: str, reason: str, by: str = "") -> tuple[str, str]:
    """Move the alias back to the previous champion. Returns (from, to). Raises InputError if there is no previous one."""
    with exclusive(f"registry-{model}", everywhere=True):
        now = version_of_alias(model, "champion")
        if now is None:
            raise InputError(f"models:/{model}@champion", "there is no champion", "Promote a version first")
        # MLflow returns a version as int from a database and as str from a server
        line, current = champions(model), str(now.version)
        if len(line) < 2 or line[-1] != current:
            mend = f"Name one yourself: transferline promote {model}@VERSION --reason ..."
            raise InputError(f"models:/{model}@champion", f"no champion before version {current} is recorded", mend)
        _existing(model, line[-2])
        _record(model, line[-2], reason, by or getpass.getuser(), "rollback")
        client().set_registered_model_alias(model, "champion", line[-2])
    return current, line[-2]


def move_champion(model: str, version: str, reason: str, by: str) -> None:
    """Move the alias and record why. The caller must hold the model's lease."""
    now = version_of_alias(model, "champion")
    if now is not None and str(now.version) == version:
        return
    _record(model, version, reason, by, "promote", before=str(now.version) if now else None)
    client().set_registered_model_alias(model, "champion", version)


def moves(model: str) -> list[dict[str, str]]:
    """Every recorded move of a model's champion alias, oldest first."""
    try:
        return json.loads(client().get_registered_model(model).tags.get(HISTORY, "[]"))
    except json.JSONDecodeError as error:
        raise InputError(f"model {model!r}", f"its tag {HISTORY} is not JSON", "Delete the tag") from error


def champions(model: str) -> list[str]:
    """Versions that were champion, oldest first: a promotion appends one, a rollback removes the last."""
    line: list[str] = []
    for move in moves(model):
        if move["what"] == "rollback":
            line = line[:-1]
        else:
            if not line and move.get("before"):
                line.append(move["before"])  # champion before the first recorded move
            line.append(move["version"])
    return line


def _record(model: str, version: str, reason: str, by: str, what: str, before: str | None = None) -> None:
    entry = {"what": what, "version": version, "reason": reason[:200], "by": by}
    entry |= {"at": datetime.now(UTC).isoformat(timespec="seconds")} | ({"before": before} if before else {})
    client().set_registered_model_tag(model, HISTORY, json.dumps([*moves(model), entry][-KEPT:]))
    client().set_model_version_tag(model, version, "transferline.why", f"{what} by {by}: {reason}"[:4000])


def _existing(model: str, version: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client().get_model_version(model, version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = ", ".join(sorted(str(v.version) for v in client().search_model_versions(f"name = '{model}'"))) or "none"
        raise InputError(f"models:/{model}/{version}", "there is no such version", f"There are: {known}") from error
