"""The console command. Heavy libraries are imported by the command that needs them, so that `--help` is instant."""

from __future__ import annotations

import gc
import sys
from typing import Annotated, Literal

import typer

from transferline.cli import data_stages, operations, questions
from transferline.cli.operations import Device

app = typer.Typer(
    help="Transfer learning for text as a production line.", no_args_is_help=True, pretty_exceptions_enable=False
)
data_stages.app.command("push")(operations.push)
app.add_typer(data_stages.app, name="data")
for _command in (
    operations.serve,
    operations.deploy,
    questions.compare,
    questions.matrix,
    questions.diagnose,
    questions.audit,
    operations.watch,
    operations.predict,
    operations.models,
    operations.lineage,
    operations.promote,
    operations.rollback,
    operations.gc,
):
    app.command()(_command)
Target = Annotated[str | None, typer.Argument(help="A target of params.yaml; the default target if left out.")]
Precision = Literal["auto", "fp32", "bf16"]
RecipeName = Annotated[str | None, typer.Argument(help="A recipe of params.yaml; the target's own if left out.")]


@app.command()
def run(
    target: Target = None,
    recipe: RecipeName = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of the tuning, at least 3.")] = None,
    device: Annotated[Device, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[Precision, typer.Option(help="auto, fp32 or bf16")] = "auto",
    everything: Annotated[
        bool, typer.Option("--all", help="Retrain every target; a failing one stops no other.")
    ] = False,
) -> None:
    """Retrain a target: data, adaptation, tuning, controls, verdict, registration."""
    if everything:
        from transferline.flows.fleet import SomeFailed, retrain_all
        from transferline.tasks.support.prefect_server import make_ready

        make_ready()
        try:
            retrain_all(device=device, precision=precision)
        except SomeFailed as error:
            print(f"transferline: {error}; the table above says how far each came", file=sys.stderr)
            raise typer.Exit(1) from error
        return
    from transferline.flows.support.planning import open_line
    from transferline.tasks.support.prefect_server import make_ready

    line = open_line(target or _default(), recipe, seeds, device, precision)  # wrong names cost nothing
    from transferline.flows.retrain import retrain

    make_ready()
    retrain(line.target, line.recipe, seeds, device, precision)


@app.command()
def plan(target: Target = None, recipe: RecipeName = None) -> None:
    """Print the chain of a target and a recipe with its keys, and what would be reused. Computes nothing."""
    from rich.console import Console
    from rich.table import Table

    from transferline.flows.support.planning import open_line, reusable
    from transferline.tasks.support.data_versions import locked_data

    line = open_line(target or _default(), recipe, None, "auto", "auto")
    data = locked_data(line.target, line.params, line.lenders())
    line = line.settled(data)
    chain = line.plan(data)
    there = reusable(chain)
    table = Table(title=f"{line.target}, recipe {line.recipe}, setting {chain.setting}", title_justify="left")
    for column in ("step", "key", "from", "plan"):
        table.add_column(column, no_wrap=column == "key")
    for step in chain:
        table.add_row(step.title, step.key, "\n".join(step.parents) or "-", "reuse" if there[step.key] else "build")
    Console(width=None if sys.stdout.isatty() else 120).print(table)


@app.command()
def targets() -> None:
    """List the targets, recipes and comparisons of params.yaml."""
    from rich.console import Console

    from transferline.core.project import root
    from transferline.recipes.params import load_params

    params = load_params(root() / "params.yaml")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    for name, spec in params.targets.items():
        default = "  (default)" if name == params.default_target else ""
        console.print(
            f"[bold]{name}[/]  domain {spec.domain}, recipe {spec.recipe}, judged by {spec.judged_by}{default}"
        )
    console.print("recipes:")
    for name, recipe in params.recipes.items():
        console.print(f"  {name:16} {recipe.about}")
    console.print("comparisons:")
    for name, comparison in params.comparisons.items():
        console.print(f"  {name:16} {comparison.about}")


@app.command()
def methods(name: Annotated[str | None, typer.Argument(help="One method, with its settings.")] = None) -> None:
    """List every method with a line of explanation, its source, and where it may be used; or one with its settings."""
    from transferline.cli.methods_table import show_method, show_methods

    show_method(name) if name else show_methods()


def _default() -> str:
    from transferline.core.project import root
    from transferline.recipes.params import load_params

    return load_params(root() / "params.yaml").default_target


def main() -> None:
    """Entry point: exit code 0 when the line worked, 2 on bad input, 1 on any other failure."""
    from transferline.core.errors import InputError
    from transferline.core.settings import settings, unknown

    gc.set_threshold(50_000, 20, 50)  # what the heavy libraries make stays: not worth looking through again and again
    try:
        if not settings().parent:  # the command that started this one has warned already
            for warning in unknown():
                print(f"transferline: {warning}", file=sys.stderr)
        app(standalone_mode=True)
    except InputError as error:
        print(f"transferline: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if "No space left on device" not in str(error):
            raise
        kept = "what was finished is kept; `transferline gc` shows what nobody needs; then run again"
        print(f"transferline: the disk is full ({error}); {kept}", file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # nor when the process ends, which then takes two seconds less
