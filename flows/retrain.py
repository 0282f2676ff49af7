"""Retrain a target: from versioned data to a registered model, promoted only if it is proven better.

transferline run film-sentiment default
"""

from __future__ import annotations

from typing import Literal

from prefect import flow

from transferline.core.project import root
from transferline.data.input_form import InputForm
from transferline.data.read import first_column_of
from transferline.flows.support.approval import approve
from transferline.flows.support.artifacts import announce, publish_report, show_chain
from transferline.flows.support.chain_building import build_chain, request_of
from transferline.flows.support.choices import OWN, RecipeChoice, TargetChoice, recipe_of
from transferline.flows.support.planning import open_line
from transferline.flows.support.preflight import begin
from transferline.tasks.evaluating import decide, predict_all, read_profiles, report_on
from transferline.tasks.placing import open_runner
from transferline.tasks.registering import check_champion_labels, crown, find_champion, register
from transferline.tasks.support.data_versions import profile_paths
from transferline.tasks.support.lineage_events import lineage_events
from transferline.tasks.support.tracking import TransferRun
from transferline.tasks.versioning import pin_data


@flow(name="retrain", flow_run_name="retrain {target}", validate_parameters=True)
def retrain(
    target: TargetChoice,
    recipe: RecipeChoice = OWN,
    seeds: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> dict[str, str]:
    """Retrain a target with a recipe. Returns the decision, the model, its versions and the MLflow run.

    Args:
        target: the target to retrain, a name from params.yaml
        recipe: a recipe of params.yaml. `own` is the target's default, `auto` the choice of the last comparison
        seeds: seeds of the fine-tuning, at least 3 (default: those of the target)
        device: where to compute (auto uses a GPU if there is one)
        precision: precision of training (auto is bf16 if the hardware supports it)
    """
    begin()
    # everything that can be refused is refused before any compute is spent: names, data, then the plan of the chain
    line = open_line(target, recipe_of(recipe), seeds, device, precision)
    data = pin_data(target, line.params, line.source_tasks())
    line = line.settled(data)
    chain = line.plan(data)
    check_champion_labels(target, line.spec, data)
    show_chain(chain)
    with (
        open_runner(line.runtime) as runner,
        lineage_events(f"retrain {target}", data) as product,
        TransferRun(target, chain.recipe, line.seeds, f"{target} {chain.recipe}") as run,
    ):
        built = build_chain(line, chain, data, run, runner)
        champion = find_champion(target)
        groups = predict_all(chain, built, data, champion, request_of(line, chain, run), runner)
        profiles = read_profiles(profile_paths(target, line.params, line.source_tasks()))
        report = report_on(line.spec, groups, data, profiles, target)
        verdict = decide(line.spec, report.candidates, champion.key if champion else None)
        approval = approve(line, report, verdict, run)
        form = InputForm.of(line.spec, first_column_of(line.spec, root()))
        registration = register(chain, report, verdict, form=form, run_id=run.run_id)
        product.registration = registration
        publish_report(
            run,
            chain,
            groups,
            report=report,
            verdict=verdict,
            registration=registration,
            profiles=profiles,
            built=built,
            data=data,
        )
        # the alias moves when everything else is done: a report that fails must not leave a new champion behind
        crowned = crown(registration, verdict, champion, approval)
        return announce(run, chain, report, verdict, registration, crowned)
