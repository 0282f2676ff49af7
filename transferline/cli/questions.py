"""The commands that ask questions: which transfer pays, between which targets, and whether to transfer at all."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from transferline.cli.operations import Device

Precision = Literal["auto", "fp32", "bf16"]


def compare(
    target: Annotated[
        str | None, typer.Argument(help="A target of params.yaml; the default target if left out.")
    ] = None,
    comparison: Annotated[str, typer.Argument(help="A comparison of params.yaml.")] = "default",
    recipes: Annotated[str, typer.Option(help="Names of recipes, separated by commas.")] = "",
    budgets: Annotated[str, typer.Option(help="Label budgets, separated by commas: counts, or shares below 1.")] = "",
    labels: Annotated[int | None, typer.Option(help="Take the target for one with no more labels than these.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of the tuning, at least 3.")] = None,
    trials: Annotated[int | None, typer.Option(help="Settings of rate and epochs tried for each recipe.")] = None,
    halving: Annotated[int | None, typer.Option(help="Factor of successive halving; 0 drops nobody.")] = None,
    compute: Annotated[
        Literal["declared", "equal"] | None, typer.Option(help="equal: the same for every recipe.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Allowance of time.")] = None,
    flops: Annotated[float | None, typer.Option(help="Allowance of training, such as 1e15.")] = None,
    device: Annotated[Device, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[Precision, typer.Option(help="auto, fp32 or bf16")] = "auto",
) -> None:
    """Compare recipes on a target: which transfer pays, with how many labels, how sure, and at what cost."""
    from transferline.core.project import root
    from transferline.recipes.params import load_params
    from transferline.tasks.support.prefect_server import make_ready

    params = load_params(root() / "params.yaml")
    name = target or params.default_target
    params.target(name)
    params.comparison(comparison)
    chosen = _split(recipes)
    for recipe in chosen:
        params.recipe(recipe)
    shares = _numbers(budgets)
    from transferline.flows.compare import compare as flow

    make_ready()
    flow(
        name,
        comparison,
        chosen or None,
        shares or None,
        labels,
        seeds,
        trials,
        halving,
        compute,
        minutes,
        flops,
        device,
        precision,
    )


def matrix(
    comparison: Annotated[str, typer.Argument(help="A comparison whose recipes say `other` for a source.")],
    targets: Annotated[
        str, typer.Option(help="Names of targets, separated by commas; else all that lend to each other.")
    ] = "",
    seeds: Annotated[int | None, typer.Option(help="Seeds of the tuning, at least 3.")] = None,
    device: Annotated[Device, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[Precision, typer.Option(help="auto, fp32 or bf16")] = "auto",
) -> None:
    """Draw what every source adds to every target, by every recipe of a comparison."""
    from transferline.core.project import root
    from transferline.flows.matrix import learners
    from transferline.recipes.params import load_params
    from transferline.tasks.support.prefect_server import make_ready

    params = load_params(root() / "params.yaml")
    params.comparison(comparison)
    names = learners(params, _split(targets))
    from transferline.flows.matrix import matrix as flow

    make_ready()
    flow(comparison, names, seeds, device, precision)


def diagnose(
    target: Annotated[
        str | None, typer.Argument(help="A target of params.yaml; the default target if left out.")
    ] = None,
    bases: Annotated[str, typer.Option(help="Bases to look at, separated by commas; else the target's own.")] = "",
    labels: Annotated[
        int | None, typer.Option(min=1, help="Take the target for one with no more labels than these.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Say before any training whether transfer is likely to pay, from where, and which recipe to try first."""
    from transferline.core.project import root
    from transferline.recipes.params import load_params
    from transferline.tasks.support.prefect_server import make_ready

    params = load_params(root() / "params.yaml")
    name = target or params.default_target
    params.target(name)
    chosen = _split(bases)
    for base in chosen:
        params.base(base)
    from transferline.flows.diagnose import diagnose as flow

    make_ready()
    flow(name, chosen or None, labels, device)


def audit(
    target: Annotated[
        str | None, typer.Argument(help="A target of params.yaml; the default target if left out.")
    ] = None,
    recipe: Annotated[str | None, typer.Argument(help="A recipe; the target's own if left out.")] = None,
    device: Annotated[Device, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """What a recipe's model has forgotten of other tasks, and what it makes of groups of people. No gate."""
    from transferline.core.project import root
    from transferline.flows.support.planning import open_line
    from transferline.recipes.params import load_params
    from transferline.tasks.support.prefect_server import make_ready

    name = target or load_params(root() / "params.yaml").default_target
    line = open_line(name, recipe, None, device, "auto")
    from transferline.flows.audit import audit as flow

    make_ready()
    flow(line.target, line.recipe, device)


def _split(text: str) -> list[str]:
    """Names of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[float]:
    from transferline.core.errors import InputError

    try:
        return [float(part) for part in _split(text)]
    except ValueError as error:
        raise InputError("--budgets", f"{text!r} is no list of numbers", "Write 20,50,100 or 0.1,0.5") from error
