"""Entry point of the command line. Each command imports slow libraries itself, so that `--help` is instant."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from transferline.cli import data_stages, operations, questions
from transferline.cli.failures import told
from transferline.cli.operations import Device
from transferline.cli.questions import Precision

app = typer.Typer(
    help="Transfer learning for text: adapt, fine-tune, evaluate and register models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # plain tracebacks: they can be copied into an issue
)
# `push` belongs to the group `data`, but it is no stage that DVC calls
data_stages.app.command("push")(operations.push)
app.add_typer(data_stages.app, name="data")
for _command in (
    operations.serve,
    operations.serve_model,
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
TargetArgument = Annotated[str | None, typer.Argument(help="A target of params.yaml. Default: `default_target`.")]
RecipeName = Annotated[str | None, typer.Argument(help="A recipe of params.yaml. Default: the target's recipe.")]


@app.command()
def run(
    target: TargetArgument = None,
    recipe: RecipeName = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds of the fine-tuning, at least 3.")] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Precision of training.")] = "auto",
    everything: Annotated[
        bool, typer.Option("--all", help="Retrain all targets. A failing target does not stop the others.")
    ] = False,
) -> None:
    """Retrain a target: data, adaptation, fine-tuning, controls, verdict, registration."""
    if everything:
        from transferline.flows.fleet import SomeFailed, retrain_all
        from transferline.tasks.support.prefect_server import make_ready

        make_ready()
        try:
            retrain_all(device=device, precision=precision)
        except SomeFailed as error:
            print(f"transferline: {error}; the table above shows each result", file=sys.stderr)
            raise typer.Exit(1) from error
        return
    from transferline.flows.support.planning import open_line
    from transferline.tasks.support.prefect_server import make_ready

    # check the names before the slow imports below, so that a typing error is reported at once
    line = open_line(target, recipe, seeds, device, precision)
    from transferline.flows.retrain import retrain

    make_ready()
    retrain(line.target, line.recipe, seeds, device, precision)


@app.command()
def plan(target: TargetArgument = None, recipe: RecipeName = None) -> None:
    """Print the steps of a target and a recipe with their keys, and which of them can be reused. Computes nothing."""
    from rich.console import Console
    from rich.table import Table

    from transferline.flows.support.planning import open_line, reusable
    from transferline.tasks.registering import check_champion_labels
    from transferline.tasks.support.data_versions import locked_data

    line = open_line(target, recipe, None, "auto", "auto")
    data = locked_data(line.target, line.params, line.source_tasks())
    line = line.settled(data)
    chain = line.plan(data)
    changes = check_champion_labels(line.target, line.spec, data)
    reused = reusable(chain)
    table = Table(title=f"{line.target}, recipe {line.recipe}, setting {chain.setting}", title_justify="left")
    for column in ("step", "key", "from", "plan"):
        table.add_column(column, no_wrap=column == "key")
    for step in chain:
        table.add_row(step.title, step.key, "\n".join(step.parents) or "-", "reuse" if reused[step.key] else "build")
    # rich assumes 80 columns without a terminal, where keys would be cut off
    console = Console(markup=False, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for change in changes:
        console.print(change)


@app.command()
def targets() -> None:
    """List targets, recipes and comparisons of params.yaml."""
    from rich.console import Console
    from rich.text import Text

    from transferline.recipes.params import project_params

    params = project_params()
    # without markup: names and descriptions are shown as they stand in params.yaml
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 120)
    for name, spec in params.targets.items():
        default = "  (default)" if name == params.default_target else ""
        words = f"  domain {spec.domain}, recipe {spec.recipe}, judged by {spec.judged_by}{default}"
        console.print(Text.assemble((name, "bold"), words))
    console.print("recipes:")
    for name, recipe in params.recipes.items():
        console.print(f"  {name:16} {recipe.about}")
    console.print("comparisons:")
    for name, comparison in params.comparisons.items():
        console.print(f"  {name:16} {comparison.about}")


@app.command()
def methods(name: Annotated[str | None, typer.Argument(help="Name of a method. Shows its parameters.")] = None) -> None:
    """List all methods with source and requirements, or show the parameters of one."""
    from transferline.cli.methods_table import show_method, show_methods

    show_method(name) if name else show_methods()


def main() -> None:
    """Run the command line. Exit code 0 on success, 2 on bad input, 3 on drift (`watch`), 1 on any other failure."""
    from transferline.core.errors import InputError
    from transferline.core.hidden_credentials import hide_credentials
    from transferline.core.settings import settings, unknown

    hide_credentials()

    # objects of the imported libraries live until the end: fewer collections save a tenth of the import time
    gc.set_threshold(50_000, 20, 50)
    try:
        if not settings().parent:  # the command that started this one has warned already
            for warning in unknown():
                print(f"transferline: {warning}", file=sys.stderr)
        app(standalone_mode=True)
    except InputError as error:
        print(f"transferline: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        line = told(error)
        if line is None:
            raise
        print(f"transferline: {line}", file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # skips the last collection, which would take nearly two seconds at exit
