"""The catalogue of methods: plain values read from their classes, and the tables of docs/catalogue.md.

`python -m transferline.recipes.catalogue` rewrites the tables of the page in the project's folder.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from transferline.core.problem import Setting, TargetKind
from transferline.core.project import root
from transferline.core.stage import Stage, name_of
from transferline.models.families import EXAMPLES
from transferline.recipes.params import Params, load_params
from transferline.recipes.registry import ADAPTING, INSTANCES, TUNING

PAGE = "docs/catalogue.md"
HEADER = ("| method | what it does | recipes | tests |", "|---|---|---|---|")


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


def section_of(method: type[Stage]) -> str:
    """The table of the page that a method belongs to."""
    if method in INSTANCES.values():
        return "instances"
    if ".multitask." in method.__module__:
        return "sources"
    if method in ADAPTING.values():
        return "adapt"
    return "aligned" if method.transfer == "feature" else "tune"


def table(section: str, folder: Path) -> str:
    """The markdown table of a section, with the recipes and the tests of the project in `folder`."""
    params = load_params(folder / "params.yaml")
    methods = {**ADAPTING, **INSTANCES, **TUNING}
    rows = [_row(methods[name], params, folder) for name in sorted(methods) if section_of(methods[name]) == section]
    return "\n".join((*HEADER, *rows))


def _row(method: type[Stage], params: Params, folder: Path) -> str:
    about = (inspect.getdoc(method) or "").splitlines()[0]
    recipes = ", ".join(f"`{name}`" for name in recipes_with(method, params))
    tests = ", ".join(f"[{path.stem}](../{path.as_posix()})" for path in tests_of(method, folder))
    return f"| `{name_of(method)}` | {about} | {recipes} | {tests} |"


def recipes_with(method: type[Stage], params: Params) -> list[str]:
    """Recipes that show a method: of a tuning method, those that tune the base itself."""
    found = []
    for name, recipe in params.recipes.items():
        before = [*recipe.adapt, *([recipe.instances] if recipe.instances else [])]
        if method in {type(stage) for stage in (before if method not in TUNING.values() or before else [recipe.tune])}:
            found.append(name)
    return found


def tests_of(method: type[Stage], folder: Path) -> list[Path]:
    """The test of a method's file or of a base class's, tests/methods/<room>/test_<file>.py; or else those that name it."""
    for one in method.__mro__:
        room, file = one.__module__.rpartition(".")[0].rpartition(".")[2], one.__module__.rpartition(".")[2]
        path = Path("tests", "methods", room, f"test_{file}.py")
        if (folder / path).exists():
            return [path]
    naming = re.compile(rf'"{name_of(method)}"|\b{method.__name__}\(')
    paths = sorted((folder / "tests").rglob("test_*.py"))
    return [path.relative_to(folder) for path in paths if naming.search(path.read_text(encoding="utf-8"))][:3]


def with_tables(page: str, folder: Path) -> str:
    """A page with its tables generated anew: the text between `<!-- methods: SECTION -->` and `<!-- end -->`."""
    marked = re.compile(r"(<!-- methods: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return marked.sub(lambda part: f"{part[1]}{table(part[2], folder)}\n{part[3]}", page)


if __name__ == "__main__":
    path = root() / PAGE
    path.write_text(with_tables(path.read_text(encoding="utf-8"), root()), encoding="utf-8")
