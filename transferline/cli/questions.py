"""Commands for analysis: compare recipes, transfer matrix, transferability, audit."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from transferline.cli.operations import Device

Precision = Literal["auto", "fp32", "bf16"]


def compare(
    target: Annotated[str | None, typer.Argument(help="A target of params.yaml. Default: `default_target`.")] = None,
    comparison: Annotated[str, typer.Argument(help="A comparison of params.yaml.")] = "default",
    *,
    recipes: Annotated[str, typer.Option(help="Names of recipes, separated by commas.")] = "",
    budgets: Annotated[
        str, typer.Option(help="Label budgets, separated by commas: counts, or fractions below 1.")
    ] = "",
    labels: Annotated[int | None, typer.Option(help="Limit the target to this many labelled examples.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of seeds of the fine-tuning, at least 3.")] = None,
    trials: Annotated[
        int | None, typer.Option(help="Settings of learning rate and epochs tried for each recipe.")
    ] = None,
    halving: Annotated[int | None, typer.Option(help="Factor of successive halving. 0 drops no recipe.")] = None,
    compute: Annotated[
        Literal["declared", "equal"] | None,
        typer.Option(help="equal: cheaper recipes get more epochs, up to the cost of the most expensive one."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Time limit in minutes.")] = None,
    flops: Annotated[float | None, typer.Option(help="Limit of the training in FLOPs, such as 1e15.")] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Precision of training.")] = "auto",
) -> None:
    """Compare recipes on a target over label budgets and seeds, with significance tests and costs."""
    from transferline.recipes.params import project_params
    from transferline.tasks.support.prefect_server import make_ready

    params = project_params()
    name = target or params.default_target
    params.target(name)
    params.comparison(comparison)
    # names are checked before the flow is imported, which takes seconds
    chosen = _split(recipes)
    for recipe in chosen:
        params.recipe(recipe)
    shares = _numbers(budgets)
    from transferline.flows.compare import compare as flow

    make_ready()
    flow(
        name,
        comparison,
        recipes=chosen or None,
        budgets=shares or None,
        labels=labels,
        seeds=seeds,
        trials=trials,
        halving=halving,
        compute=compute,
        minutes=minutes,
        flops=flops,
        device=device,
        precision=precision,
    )


def matrix(
    comparison: Annotated[str, typer.Argument(help="A comparison in which recipes name `other` as their source.")],
    targets: Annotated[
        str,
        typer.Option(help="Names of targets, separated by commas. Default: all that are source and target of a pair."),
    ] = "",
    seeds: Annotated[int | None, typer.Option(help="Number of seeds of the fine-tuning, at least 3.")] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Precision of training.")] = "auto",
) -> None:
    """Measure and plot the transfer from every source task to every target, for each recipe of a comparison."""
    from transferline.flows.matrix import learners
    from transferline.recipes.params import project_params
    from transferline.tasks.support.prefect_server import make_ready

    params = project_params()
    params.comparison(comparison)
    names = learners(params, _split(targets))
    from transferline.flows.matrix import matrix as flow

    make_ready()
    flow(comparison, names, seeds, device, precision)


def diagnose(
    target: Annotated[str | None, typer.Argument(help="A target of params.yaml. Default: `default_target`.")] = None,
    bases: Annotated[
        str, typer.Option(help="Names of bases, separated by commas. Default: the base of the target's recipe.")
    ] = "",
    labels: Annotated[int | None, typer.Option(min=1, help="Limit the target to this many labelled examples.")] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = "auto",
) -> None:
    """Estimate before training whether transfer is likely to help, from which source, and which recipe to try first."""
    from transferline.recipes.params import project_params
    from transferline.tasks.support.prefect_server import make_ready

    params = project_params()
    name = target or params.default_target
    params.target(name)
    chosen = _split(bases)
    for base in chosen:
        params.base(base)
    from transferline.flows.diagnose import diagnose as flow

    make_ready()
    flow(name, chosen or None, labels, device)


def audit(
    target: Annotated[str | None, typer.Argument(help="A target of params.yaml. Default: `default_target`.")] = None,
    recipe: Annotated[str | None, typer.Argument(help="A recipe of params.yaml. Default: the target's recipe.")] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = "auto",
) -> None:
    """Measure forgetting of source tasks and bias between groups of people. It never blocks a promotion."""
    from transferline.flows.support.planning import open_line
    from transferline.tasks.support.prefect_server import make_ready

    line = open_line(target, recipe, None, device, "auto")
    from transferline.flows.audit import audit as flow

    make_ready()
    flow(line.target, line.recipe, device)


def _split(text: str) -> list[str]:
    """Split a list at its commas, without empty parts."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[float]:
    from transferline.core.errors import InputError

    try:
        return [float(part) for part in _split(text)]
    except ValueError as error:
        raise InputError("--budgets", f"{text!r} is not a list of numbers", "Write 20,50,100 or 0.1,0.5") from error
