"""Output of `transferline methods`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from transferline.core.errors import InputError
from transferline.recipes.catalogue import entries, settings_of
from transferline.recipes.registry import ADAPTING, INSTANCES, TUNING

_console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 160)


def show_methods() -> None:
    """Print a table of all methods."""
    table = Table(title="methods, by their place in a recipe", title_justify="left", show_lines=False)
    for column in ("in", "method", "description", "source", "base", "targets", "settings"):
        table.add_column(column, no_wrap=column in ("in", "method"))
    for entry in entries():
        row = (entry.place, entry.name, entry.about, entry.source, entry.base, entry.targets, entry.settings)
        table.add_row(*row)
    _console.print(table)
    _console.print(
        "`transferline methods NAME` lists the parameters of a method. docs/catalogue.md has a recipe for each."
    )


def show_method(name: str) -> None:
    """Print one method with its parameters. Raises InputError on an unknown name."""
    known = {**ADAPTING, **INSTANCES, **TUNING}
    if name not in known:
        raise InputError(f"method {name!r}", "there is no such method", f"There are {', '.join(sorted(known))}")
    entry = next(entry for entry in entries() if entry.name == name)
    _console.print(Text.assemble((name, "bold"), f"  {entry.about}"))
    _console.print(f"source: {entry.source}\nin a recipe: {entry.place}")
    _console.print(f"base: {entry.base}\ntargets: {entry.targets}\nsettings: {entry.settings}\n")
    table = Table(box=None)
    for column in ("field", "default", "meaning"):
        table.add_column(column)
    for row in settings_of(known[name]):
        table.add_row(*row)
    _console.print(table)
