"""What is predicted for a verdict, which seed is shipped, and how looks at a test are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recording import record
from transferline.core.checkpoint import Checkpoint
from transferline.core.problem import Setting
from transferline.core.runtime import Runtime
from transferline.evaluation.significance import Interval, PairedComparison
from transferline.evaluation.verdict import Candidate
from transferline.methods.parameter import Probe
from transferline.recipes.chain import Chain, Pin, Step, predict_step
from transferline.recipes.params import load_params
from transferline.tasks import evaluating
from transferline.tasks.evaluating import contaminated_rows, count_looks, decide, predict_all, read_profiles
from transferline.tasks.registering import Champion
from transferline.tasks.support.build_request import Request
from transferline.tasks.support.caching import Built

DATA = {"test": Pin(Path("test.jsonl"), "md5")}
COMMON = Request(Step("tune", Probe()), {}, Runtime(), "run")


def built(key: str, score: float) -> Built:
    return Built(Checkpoint(key=key, digest="d", summary={"score": score}), False)


def test_the_shipped_seed_is_the_best_on_validation_and_the_first_of_equals(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = record(
        monkeypatch,
        evaluating,
        "build_all",
        lambda wanted, runner, known: {request.key: built(request.key, 0.0) for _, request in wanted},
    )
    monkeypatch.setattr(evaluating, "read_predictions", lambda folder: folder.name)
    chain = Chain("t", "full", Setting.UNKNOWN, (), {"challenger": ("a", "b", "c"), "tfidf": ("d",)})
    scores = {"a": built("a", 0.5), "b": built("b", 0.9), "c": built("c", 0.9), "d": built("d", 0.1)}
    old = Champion(Checkpoint(key="old", digest="d"), "3")
    groups = predict_all(chain, scores, DATA, old, COMMON, None)  # type: ignore[arg-type]
    assert {role: group.keys for role, group in groups.items()} == {
        "challenger": ("a", "b", "c"),
        "tfidf": ("d",),
        "champion": ("old",),
    }
    assert [group.shipped for group in groups.values()] == [1, 0, 0]
    assert groups["champion"].predictions == (predict_step("old", "md5").key,)
    (wanted, _, known), _ = asked.only
    assert [request.step.parents for _, request in wanted] == [("a",), ("b",), ("c",), ("d",), ("old",)]
    assert [request.step.seed for _, request in wanted] == [0, 1, 2, None, None]
    assert all(request.data == {"test": Path("test.jsonl")} and request.run_id == "run" for _, request in wanted)
    assert known["old"].reused


def test_without_a_champion_none_is_predicted(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "build_all", lambda wanted, *_: {r.key: built(r.key, 0.0) for _, r in wanted})
    monkeypatch.setattr(evaluating, "read_predictions", lambda folder: folder.name)
    chain = Chain("t", "full", Setting.UNKNOWN, (), {"challenger": ("a",)})
    assert set(predict_all(chain, {"a": built("a", 1.0)}, DATA, None, COMMON, None)) == {"challenger"}  # type: ignore[arg-type]


def test_looks_are_the_models_that_were_scored_on_this_very_test(bare: Path) -> None:
    for name, md5 in (("predict-1", "md5"), ("predict-2", "md5"), ("predict-3", "other"), ("tune-4", "md5")):
        (bare / "store" / name).mkdir(parents=True)
        lineage = {"data": {"test": md5}, "digest": "", "key": name}
        (bare / "store" / name / "lineage.json").write_text(json.dumps(lineage))
    (bare / "store" / "predict-torn").mkdir()
    assert (count_looks("md5"), count_looks("other"), count_looks("never")) == (2, 1, 0)


def test_contaminated_rows_come_from_the_target_and_its_corpus(bare: Path) -> None:
    prepared, corpus = bare / "data/prepared/cinema/reviews", bare / "data/corpora/cinema"
    for folder, profile in (
        (prepared, {"contaminated_test_rows": ["1", "2"]}),
        (corpus, {"contaminated_test_rows": {"reviews": ["3"], "another": ["4"]}}),
    ):
        folder.mkdir(parents=True)
        (folder / "profile.json").write_text(json.dumps(profile))
    assert contaminated_rows("reviews", load_params(bare / "params.yaml")) == ["1", "2", "3"]
    assert read_profiles({"corpus": corpus / "profile.json"})["corpus"]["contaminated_test_rows"]["another"] == ["4"]


@pytest.mark.parametrize(("low", "decision"), [(0.01, "promote"), (-0.2, "hold")])
def test_only_a_model_that_is_better_than_its_controls_is_promoted(low: float, decision: str, bare: Path) -> None:
    spec = load_params(bare / "params.yaml").target("reviews")
    better = PairedComparison("tfidf", Interval(low + 0.1, low, low + 0.2), 90, 10, 0.001, 200)
    assert decide.fn(spec, (Candidate("challenger", "tune-1", (better,)),), None).decision == decision
