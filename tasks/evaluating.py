"""Evaluation tasks. Predictions are a cached stage. Report and verdict are recomputed in every run, because they are cheap."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner

from transferline.core.checkpoint import read_lineage
from transferline.core.project import store
from transferline.data.declarations import TargetSpec
from transferline.evaluation.prediction_tables import read_predictions
from transferline.evaluation.report import Group, Report, make_report
from transferline.evaluation.verdict import Candidate, Verdict, judge
from transferline.recipes.chain import Chain, Data, predict_step
from transferline.recipes.label_changes import label_changes, renames
from transferline.recipes.params import Params
from transferline.tasks.registering import Champion
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.caching import Built, build_all, stage_task
from transferline.tasks.support.data_versions import PAIR, profile_paths

predict_test = stage_task("predict", "Predict the test set with one model.")


def predict_all(
    chain: Chain,
    built: Mapping[str, Built],
    data: Data,
    champion: Champion | None,
    common: Request,
    runner: TaskRunner[Any],
) -> dict[str, Group]:
    """Predict the test set with every final model of a chain and with the champion. Returns groups by role."""
    roles = {role: list(keys) for role, keys in chain.roles.items()}
    if champion is not None:
        roles["champion"] = [champion.key]
        # the champion was built by an earlier run, so it is not among this chain's checkpoints
        built = {champion.key: Built(champion.checkpoint, True), **built}
    steps = {
        (role, key): predict_step(key, data["test"].md5, role, seed if len(keys) > 1 else None)
        for role, keys in roles.items()
        for seed, key in enumerate(keys)
    }
    where = {"test": data["test"].path}
    wanted = [(predict_test, replace(common, step=step, data=where)) for step in steps.values()]
    predicted = build_all(wanted, runner, built)
    groups = {}
    for role, keys in roles.items():
        scores = [built[key].checkpoint.summary.get("score", 0.0) for key in keys]
        # the seed that ships is the best on validation, never on the test; at a tie the first seed
        shipped = max(range(len(keys)), key=lambda i: (scores[i], -i))
        checkpoints = [predicted[steps[role, key].key].checkpoint for key in keys]
        groups[role] = Group(
            role,
            tuple(keys),
            tuple(read_predictions(store() / checkpoint.key) for checkpoint in checkpoints),
            tuple(store() / key for key in keys),
            shipped,
            checkpoints[shipped].summary,
        )
    return groups


@task(task_run_name="report", cache_policy=NO_CACHE)
def report_on(
    spec: TargetSpec, groups: dict[str, Group], data: Data, profiles: Mapping[str, Any], target: str
) -> Report:
    """Score and compare all models of a retrain on the test set."""
    contaminated = _contaminated(profiles, target)
    own = {role: group for role, group in groups.items() if role != "champion"}
    champion, notes = _champion(spec, groups.get("champion"), data)
    looks = count_looks(data["test"].md5)
    report = make_report(spec.judged_by, own, champion, spec.fallback == "control", contaminated, looks)
    return replace(report, notes=(*report.notes, *notes))


def _champion(spec: TargetSpec, champion: Group | None, data: Data) -> tuple[Group | None, list[str]]:
    """The champion's predictions under the present names of labels, and sentences on labels that came or went.

    None instead of the champion if it is not compared with (`former_labels: fresh`).
    """
    if champion is None:
        return None, []
    changes = label_changes(champion.folders[0], data["train"].path)
    renamed = tuple(made.renamed(renames(spec)) for made in champion.predictions)
    return None if changes.fresh(spec) else replace(champion, predictions=renamed), changes.sentences(spec)


@task(task_run_name="verdict", cache_policy=NO_CACHE)
def decide(spec: TargetSpec, candidates: tuple[Candidate, ...], champion: str | None) -> Verdict:
    """Reach the verdict: promote, hold or unchanged."""
    return judge(candidates, champion, spec.margin, spec.proof)


def contaminated_rows(target: str, params: Params, source_tasks: Sequence[str] = ()) -> list[str]:
    """ids of the test rows with copies in the training data, which the leak gate removed there."""
    return _contaminated(read_profiles(profile_paths(target, params, source_tasks)), target)


def _contaminated(profiles: Mapping[str, Any], target: str) -> list[str]:
    # `prepare`, `pair` and `corpus` each report the test rows that they found copies of
    rows = list((profiles.get("target") or {}).get("contaminated_test_rows", []))
    source_rows = [row for name, p in profiles.items() if name.startswith(PAIR) for row in p["contaminated_test_rows"]]
    return rows + source_rows + (profiles.get("corpus") or {}).get("contaminated_test_rows", {}).get(target, [])


def count_looks(test_md5: str) -> int:
    """Count the models of this store that have been scored on a test set."""
    lineages = (read_lineage(folder) for folder in store().glob("predict-*"))
    return sum(1 for lineage in lineages if lineage and lineage["data"]["test"] == test_md5)


def read_profiles(paths: Mapping[str, Path]) -> dict[str, Any]:
    """Read the profiles that the data stages wrote."""
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items()}
