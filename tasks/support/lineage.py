"""Origin of a registered model: data, parents, commit, and the command that builds it again."""

from __future__ import annotations

from typing import Any

from transferline.core.errors import InputError
from transferline.tasks.promoting import current_champion, version_of_alias
from transferline.tasks.support.scope import scoped, target_of_model
from transferline.tasks.support.tracking import client


def find_version(name: str) -> Any:
    """The registered version that MODEL@ALIAS, MODEL@VERSION or MODEL (its champion) means."""
    from mlflow.exceptions import MlflowException

    given, _, which = name.partition("@")
    model = scoped(given)
    which = which or "champion"
    if not which.isdecimal():
        found = current_champion(model) if which == "champion" else version_of_alias(model, which)
        if found is None:
            raise InputError(name, f"no version of {model!r} has the alias {which!r}", "See `transferline models`")
        return found
    try:
        return client().get_model_version(model, which)
    except MlflowException as error:
        raise InputError(name, "there is no such registered version", "See `transferline models`") from error


def lineage_of(name: str) -> dict[str, Any]:
    """What a registered version was made from, and the one command that makes it again."""
    version = find_version(name)
    tags = {k.removeprefix("transferline."): v for k, v in version.tags.items() if k.startswith("transferline.")}
    commit = tags.get("commit", "").removesuffix("+changes")
    checkout = f"git checkout {commit} && dvc checkout && " if commit and " " not in commit else ""
    recipe = tags.get("recipe", "")
    return {
        "model": f"{version.name} version {version.version}",
        "key": tags.get("key", ""),
        "digest": tags.get("digest", ""),
        "role": tags.get("role", ""),
        "recipe": recipe,
        "parents": tags.get("parents", "").split(),
        "data": {k.removeprefix("data."): v for k, v in tags.items() if k.startswith("data.")},
        "commit": tags.get("commit", ""),
        "registered by run": version.run_id,
        "built by run": tags.get("run", ""),
        "why": tags.get("why", ""),
        "rebuild": f"{checkout}transferline run {target_of_model(version.name)} {recipe}",
    }
