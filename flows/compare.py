"""Compare recipes on one target over label budgets and seeds, and decide which to ship.

transferline compare film-sentiment
"""

from __future__ import annotations

from typing import Literal

from prefect import flow

from transferline.core.runtime import Runtime
from transferline.flows.support.choices import ComparisonChoice, TargetChoice
from transferline.flows.support.comparison.contest import Contest
from transferline.flows.support.comparison.leaves import Builder, open_ground
from transferline.flows.support.comparison.publish import publish
from transferline.flows.support.comparison.question import (
    ask,
    evidence_of,
    prefix_predictions,
    question_of,
    show_plan,
    source_tasks_of,
)
from transferline.flows.support.preflight import begin
from transferline.recipes.params import project_params
from transferline.tasks.evaluating import contaminated_rows, count_looks
from transferline.tasks.placing import open_runner
from transferline.tasks.support.tracking import ComparisonRun
from transferline.tasks.versioning import pin_data
from transferline.tournament.leaderboard import make_board
from transferline.tournament.plan import plan_tournament
from transferline.tournament.result import make_result


@flow(name="compare", flow_run_name="compare {target}", validate_parameters=True)
def compare(
    target: TargetChoice,
    comparison: ComparisonChoice = "default",
    *,
    recipes: list[str] | None = None,
    budgets: list[float] | None = None,
    labels: int | None = None,
    seeds: int | None = None,
    trials: int | None = None,
    halving: int | None = None,
    compute: Literal["declared", "equal"] | None = None,
    minutes: float | None = None,
    flops: float | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> dict[str, str]:
    """Compare recipes on a target. Returns the recipe to ship, the headline, the MLflow run and the report.

    Args:
        target: a name from params.yaml
        comparison: a comparison of params.yaml, which all following parameters override
        recipes: names of recipes (default: those of the comparison)
        budgets: label budgets besides all labels, as counts or as fractions below 1
        labels: limit the target to this many labelled examples, but not its source tasks
        seeds: seeds of the fine-tuning, at least 3
        trials: settings of learning rate and epochs tried for each recipe, of which the best on validation is kept
        halving: factor of successive halving (0 drops no recipe)
        compute: equal gives cheaper recipes more epochs, until all may cost as much as the most expensive one
        minutes: time limit in minutes
        flops: limit of the training in FLOPs
        device: where to compute
        precision: precision of training
    """
    begin()
    params = project_params()
    given = {
        "recipes": recipes,
        "budgets": budgets,
        "labels": labels,
        "seeds": seeds,
        "trials": trials,
        "halving": halving,
    }
    question = question_of(params, comparison, {**given, "compute": compute, "minutes": minutes, "flops": flops})
    source_tasks = source_tasks_of(params, target, question)
    data = pin_data(target, params, source_tasks)
    runtime = Runtime.model_validate({"device": device, "precision": precision})
    wanted = ask(params, target, question, data)
    ground = open_ground(params, target, data, list(wanted.values()), question.counts, question.seeds)
    metric = ground.spec.judged_by
    with open_runner(runtime) as runner, ComparisonRun(target, comparison, question.seeds) as run:
        run.log(
            {}, 0, {name: str(value) for name, value in question.model_dump(mode="json", exclude={"seeds"}).items()}
        )
        builder = Builder(ground, runtime, run, runner)
        contest = Contest(builder, question, metric)
        # the bases first: a forecast needs the size of each base
        builder.bases(plan_tournament(ground, wanted))
        wanted = contest.equalise(wanted) if question.compute == "equal" else wanted
        show_plan(contest, wanted, comparison)
        plan = contest.run(plan_tournament(ground, contest.choose(wanted)))
        # the test set is used from here on only: all choices are made, on validation
        evidence = evidence_of(contest, plan)
        board = make_board(evidence)
        ablation = prefix_predictions(contest, evidence, board)
        looks, contaminated = count_looks(data["test"].md5), contaminated_rows(target, params, source_tasks)
        result = make_result(
            target,
            comparison,
            evidence,
            board,
            between=ablation,
            contaminated=contaminated,
            looks=looks,
            notes=contest.notes,
        )
        return publish(run, evidence, result)
