"""The catalogue of methods as plain values, read from their classes."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel

from transferline.core.problem import Setting, TargetKind
from transferline.core.stage import Stage, name_of
from transferline.models.families import EXAMPLES
from transferline.recipes.registry import ADAPTING, INSTANCES, TUNING


@dataclass(frozen=True)
class MethodEntry:
    """One method of the catalogue.

    `place` is its field in a recipe (adapt, instances or tune), `about` its description, `source` its publication. `base`,
    `targets` and `settings` are the bases, kinds of targets and transfer settings that it supports.
    """

    place: str
    name: str
    about: str
    source: str
    base: str
    targets: str
    settings: str


def entries() -> list[MethodEntry]:
    """All methods of `adapt`, `instances` and `tune`, each sorted by name."""
    rooms = {"adapt": ADAPTING, "instances": INSTANCES, "tune": TUNING}
    return [_entry(place, room[name]) for place, room in rooms.items() for name in sorted(room)]


def _entry(place: str, method: type[Stage]) -> MethodEntry:
    about = (inspect.getdoc(method) or "").splitlines()[0]
    base = EXAMPLES[method.ability] if method.ability else "any"
    targets = "any" if set(method.tasks) == set(get_args(TargetKind)) else ", ".join(method.tasks)
    admitted = [setting.value for setting in Setting if setting.admits(method.needs)]
    settings = "any" if len(admitted) == len(Setting) else ", ".join(admitted)
    return MethodEntry(place, name_of(method), about, method.source, base, targets, settings)


def settings_of(method: type[Stage]) -> list[tuple[str, str, str]]:
    """(field, default, description) of each setting of a method."""
    rows = []
    for name, field in method.model_fields.items():
        if name == "method":
            continue
        default = field.default
        if isinstance(default, BaseModel):
            default = default.model_dump(exclude_defaults=True) or "its defaults"
        shown = json.dumps(default) if isinstance(default, dict | list | tuple | bool | None) else str(default)
        rows.append((name, shown, " ".join((field.description or "").split())))
    return rows
