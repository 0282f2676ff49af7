"""Evaluation: predictions as a cached stage, the report and the verdict always made anew (they are cheap)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.caching import Built, Request, call, stage_task
from tasks.project import store
from tasks.registering import Champion
from transfer.chain import PREDICT_VERSION, Chain, Data, Step, prediction_key
from transfer.checkpoint import read_lineage
from transfer.corpora.declared import TargetSpec
from transfer.evaluation.predict import predict, read_predictions
from transfer.evaluation.report import Group, Report, make_report
from transfer.evaluation.verdict import Candidate, Verdict, judge
from transfer.runtime import Runtime
from transfer.stage import Kind, Stage, Work


class Predict(Stage):
    """A model's predictions on one test. Its key holds the model's key and the test's md5, nothing else."""

    kind: ClassVar[Kind] = "predict"
    method: Literal["predict"] = "predict"
    version: ClassVar[int] = PREDICT_VERSION

    def build(self, work: Work) -> dict[str, float]:
        return predict(work.needs_parent(), work.data["test"], work.runtime, work.out)


class PredictStep(Step):
    """A step whose key is the prediction key."""

    @property
    def key(self) -> str:
        return prediction_key(self.parents[0], dict(self.data)["test"])


predict_test = stage_task("predict", "Predict the test with one model.")


def predict_all(
    chain: Chain, built: Mapping[str, Built], data: Data, champion: Champion | None, common: Request
) -> dict[str, Group]:
    """Predictions of every leaf of a chain and of the champion, as groups by role."""
    groups = {}
    for role, keys in chain.roles.items():
        scores = [built[key].checkpoint.summary["score"] for key in keys]
        shipped = max(range(len(keys)), key=lambda i: (scores[i], -i))  # chosen on validation, never on the test
        groups[role] = _group(role, [built[key] for key in keys], shipped, data, common)
    if champion is not None:
        groups["champion"] = _group("champion", [Built(champion.checkpoint, True)], 0, data, common)
    return groups


def _group(role: str, models: Sequence[Built], shipped: int, data: Data, common: Request) -> Group:
    predicted = []
    keys = tuple(model.checkpoint.key for model in models)
    for number, model in enumerate(models):
        seed = number if len(models) > 1 else None
        parents = (model.checkpoint.key,)
        step = PredictStep("predict", Predict(), parents, (("test", data["test"].md5),), seed, f"predict {role}")
        request = replace(common, step=step, data={"test": data["test"].path})
        after = [model] if model.state is not None else []
        predicted.append(call(predict_test, request, after).checkpoint)
    folders = [store() / p.key for p in predicted]
    return Group(
        role,
        keys,
        tuple(read_predictions(folder) for folder in folders),
        tuple(store() / key for key in keys),
        shipped,
        predicted[shipped].summary,
    )


@task(task_run_name="report", cache_policy=NO_CACHE)
def report_on(
    spec: TargetSpec, groups: dict[str, Group], data: Data, profiles: Mapping[str, Any], target: str
) -> Report:
    """Score and compare all models of a retrain."""
    contaminated = list((profiles.get("target") or {}).get("contaminated_test_rows", []))
    contaminated += (profiles.get("corpus") or {}).get("contaminated_test_rows", {}).get(target, [])
    own = {role: group for role, group in groups.items() if role != "champion"}
    looks = count_looks(data["test"].md5)
    return make_report(spec.metric, own, groups.get("champion"), spec.fallback == "control", contaminated, looks)


@task(task_run_name="verdict", cache_policy=NO_CACHE)
def decide(spec: TargetSpec, candidates: tuple[Candidate, ...], champion: str | None) -> Verdict:
    """Promote, hold or unchanged."""
    return judge(candidates, champion, spec.margin)


def count_looks(test_md5: str) -> int:
    """How many models of this store have been scored on a test."""
    lineages = (read_lineage(folder) for folder in store().glob("predict-*"))
    return sum(1 for lineage in lineages if lineage and lineage["data"]["test"] == test_md5)


def read_profiles(paths: Mapping[str, Path]) -> dict[str, Any]:
    """The profiles that the data stages wrote."""
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items()}


def with_runtime(runtime: Runtime) -> Runtime:
    """The runtime decided for this machine, its switches set."""
    resolved = runtime.resolve()
    resolved.apply()
    return resolved
