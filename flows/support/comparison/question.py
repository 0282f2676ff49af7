"""Question and evidence of a comparison: resolve its recipes, show the plan, and score the models on the test set."""

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
    """A comparison of params.yaml with the given values in place of its own. Raises InputError on an invalid value."""
    declared = params.comparison(name)
    changes = {field: value for field, value in given.items() if value is not None}
    try:
        return Comparison.model_validate({**declared.model_dump(), **changes})
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"compare, {place}", error.errors()[0]["msg"], "Correct it") from error


def ask(params: Params, target: str, question: Comparison, data: Data) -> dict[str, Recipe]:
    """The recipes of a question, by name.

    Recipes and source tasks that the question names are kept as they are: an inadmissible one is an error later. All others
    are kept only if the target admits them. Raises InputError if no recipe remains.
    """
    known = asked(params, target, question)
    unnamed = {n: r for n, r in known.items() if not question.recipes or (FROM in n and not question.source_tasks)}
    if not unnamed:
        return known
    # admission does not depend on label budgets: all labels are enough
    ground = open_ground(params, target, data, list(unnamed.values()), lambda rows, _: (rows,), question.seeds)
    fitting = admitted(ground, unnamed)
    chosen = {name: recipe for name, recipe in known.items() if name not in unnamed or name in fitting}
    if known and not chosen:
        raise InputError(
            f"target {target!r}", "no recipe is admissible", "`transferline methods` lists the requirements"
        )
    return chosen


def asked(params: Params, target: str, question: Comparison) -> dict[str, Recipe]:
    """The recipes that a question names. If it names none, all recipes with source tasks that the target has a pair with."""
    sources = params.source_tasks(target)
    named = names_of(question.recipes or tuple(params.recipes), params.recipes)
    # a recipe with the source `other` becomes one recipe per source task
    known = from_source_tasks(named, question.source_tasks or sources)
    if not question.recipes:
        known = {name: recipe for name, recipe in known.items() if set(sources).issuperset(recipe.source_task_names())}
    return variants(known, question.vary)


def source_tasks_of(params: Params, target: str, question: Comparison) -> list[str]:
    """The source tasks of all recipes of a question."""
    return list(dict.fromkeys(name for r in asked(params, target, question).values() for name in r.source_task_names()))


def show_plan(contest: Contest, recipes: Mapping[str, Recipe], name: str) -> None:
    """Print the upper bound of the cost, and the smallest difference that the test set can detect, before building."""
    ground, bound = contest.builder.ground, contest.most(recipes)
    rows = len(ground.data["test"].path.read_text(encoding="utf-8").splitlines())  # JSON Lines: one row per line
    console.print(
        f"{ground.target}  comparison {name}: {len(recipes)} recipes and controls, labels {list(ground.budgets)}, "
        f"{ground.seeds} seeds: {bound.leaves} models; at most {bound} left to do"
    )
    if ground.spec.task in (
        "regression",
        "generation",
    ):  # the estimate below needs labels that are right or wrong
        return
    console.print(
        f"  {rows} test rows can detect differences of about {expected_effect(rows):.3f} or more (80 % power, if two models "
        "disagree on a fifth of the rows); variation between seeds adds to this"
    )


def evidence_of(contest: Contest, plan: Tournament) -> Evidence:
    """Score every model on the test set, after all choices are made, and collect predictions, lineages and costs."""
    # budgets that were left out for lack of time or FLOPs are no part of the evidence
    builder, ground = contest.builder, replace(plan.ground, budgets=tuple(contest.budgets))
    leaves = [leaf for leaf in plan.leaves if leaf.budget in contest.budgets]
    plan = replace(plan, ground=ground, leaves=tuple(leaves))
    all_labels = [leaf for leaf in leaves if leaf.budget == ground.rows]
    validation = builder.predictions(all_labels, "validation")  # cached: the choices were made on these
    test = builder.predictions(leaves, "test")
    keys = {step.key for step in plan.needed(leaves)}
    lineages = {key: read_lineage(store() / key) or {} for key in keys}
    scored = {key: predict_step(key, ground.data["test"].md5).key for key in test}
    figures = {key: builder.built[name].checkpoint.summary for key, name in scored.items()}
    folders = {key: store() / key for key in test}
    margin = ground.spec.margin
    return Evidence(plan, contest.metric, margin, test, validation, lineages, figures, folders)


def prefix_predictions(contest: Contest, evidence: Evidence, board: Board) -> dict[str, Sequence[Predictions]]:
    """Ablation of the winner: build its chain up to each adaptation, and predict the test set with each. {} if not built."""
    recipe = evidence.tournament.entries[board.winner].recipe
    cut = prefixes(board.winner, recipe) if recipe is not None else {}
    if not cut:
        return {}
    plan = contest.shortened(cut)
    if not contest.part(plan, plan.leaves, f"{board.winner} cut short, for its ablation"):
        return {}
    made = contest.builder.predictions(plan.leaves, "test")
    return {name: [made[leaf.key] for leaf in plan.group(name)] for name in cut}
