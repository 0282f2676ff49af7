"""The parts of a comparison around the contest: the question, the plan that is shown, the evidence, and where it all goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from transferline.core.checkpoint import read_lineage
from transferline.core.errors import InputError
from transferline.core.project import store
from transferline.evaluation.predictions import Predictions
from transferline.flows.support.comparison.contest import Contest
from transferline.flows.support.comparison.leaves import open_ground
from transferline.recipes.chain import Data, predict_step
from transferline.recipes.comparison import FROM, Comparison, from_source_tasks, variants
from transferline.recipes.params import Params
from transferline.recipes.recipe import Recipe
from transferline.tasks.support.progress import console
from transferline.tournament.ablation import prefixes
from transferline.tournament.leaderboard import Board, Evidence
from transferline.tournament.plan import Tournament, admitted, names_of
from transferline.tournament.statistics import expected_effect


def question_of(params: Params, name: str, given: Mapping[str, Any]) -> Comparison:
    """A comparison of params.yaml with what was given beside it. Raises InputError where that is wrong."""
    declared = params.comparison(name)
    changes = {field: value for field, value in given.items() if value is not None}
    try:
        return Comparison.model_validate({**declared.model_dump(), **changes})
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"compare, {place}", error.errors()[0]["msg"], "Correct it") from error


def ask(params: Params, target: str, question: Comparison, data: Data) -> dict[str, Recipe]:
    """The recipes of a question, by name. Of those that nobody named, and of lenders that nobody named, what the target admits."""
    known = asked(params, target, question)
    unnamed = {n: r for n, r in known.items() if not question.recipes or (FROM in n and not question.source_tasks)}
    if not unnamed:
        return known
    ground = open_ground(params, target, data, list(unnamed.values()), lambda rows, _: (rows,), question.seeds)
    fitting = admitted(ground, unnamed)
    chosen = {name: recipe for name, recipe in known.items() if name not in unnamed or name in fitting}
    if known and not chosen:
        raise InputError(f"target {target!r}", "it admits none of the recipes", "See `transferline methods` for why")
    return chosen


def asked(params: Params, target: str, question: Comparison) -> dict[str, Recipe]:
    """The recipes that a question names; where it names none, all whose source targets may lend to this one."""
    lending = params.source_tasks(target)
    named = names_of(question.recipes or tuple(params.recipes), params.recipes)
    known = from_source_tasks(named, question.source_tasks or lending)
    if not question.recipes:
        known = {name: recipe for name, recipe in known.items() if set(lending).issuperset(recipe.source_task_names())}
    return variants(known, question.vary)


def source_tasks_of(params: Params, target: str, question: Comparison) -> list[str]:
    """The source targets that the recipes of a question learn from."""
    return list(dict.fromkeys(name for r in asked(params, target, question).values() for name in r.source_task_names()))


def show_plan(contest: Contest, recipes: Mapping[str, Recipe], name: str) -> None:
    """What will be built at most, and what the test can show, before anything is."""
    ground, bound = contest.builder.ground, contest.most(recipes)
    rows = len(ground.data["test"].path.read_text(encoding="utf-8").splitlines())
    console.print(
        f"[bold]{ground.target}[/]  comparison {name}: {len(recipes)} recipes and controls, labels {list(ground.budgets)}, "
        f"{ground.seeds} seeds: {bound.leaves} models; at most {bound} left to do"
    )
    if ground.spec.task in (
        "regression",
        "generation",
    ):  # what answers of these kinds differ by is not known beforehand
        return
    console.print(
        f"  {rows} test rows show differences from about {expected_effect(rows):.3f} on (80 % power, two models that "
        "disagree on a fifth of them); what the seeds differ by comes on top"
    )


def evidence_of(contest: Contest, plan: Tournament) -> Evidence:
    """Score every leaf on the test, now that all choices are made, and gather what is known of them."""
    builder, ground = contest.builder, replace(plan.ground, budgets=tuple(contest.budgets))
    leaves = [leaf for leaf in plan.leaves if leaf.budget in contest.budgets]
    plan = replace(plan, ground=ground, leaves=tuple(leaves))
    whole = [leaf for leaf in leaves if leaf.budget == ground.rows]
    validation = builder.predictions(whole, "validation")
    test = builder.predictions(leaves, "test")
    keys = {step.key for step in plan.needed(leaves)}
    lineages = {key: read_lineage(store() / key) or {} for key in keys}
    scored = {key: predict_step(key, ground.data["test"].md5).key for key in test}
    figures = {key: builder.built[name].checkpoint.summary for key, name in scored.items()}
    folders = {key: store() / key for key in test}
    margin = ground.spec.margin
    return Evidence(plan, contest.metric, margin, test, validation, lineages, figures, folders)


def prefix_predictions(contest: Contest, evidence: Evidence, board: Board) -> dict[str, Sequence[Predictions]]:
    """Models of the winner's chain cut short after each of its adaptations, scored on the test."""
    recipe = evidence.tournament.entries[board.winner].recipe
    cut = prefixes(board.winner, recipe) if recipe is not None else {}
    if not cut:
        return {}
    plan = contest.shortened(cut)
    if not contest.part(plan, plan.leaves, f"{board.winner} cut short, for its ablation"):
        return {}
    made = contest.builder.predictions(plan.leaves, "test")
    return {name: [made[leaf.key] for leaf in plan.group(name)] for name in cut}
