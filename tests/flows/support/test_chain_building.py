"""A chain is built base first, each kind of step by its own task, on the right files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from tests.recording import Recorder, record
from transferline.core.checkpoint import Checkpoint
from transferline.core.problem import Setting
from transferline.core.stage import StageKind
from transferline.flows.support import chain_building
from transferline.flows.support.chain_building import STAGES, build_chain, places_of, request_of
from transferline.flows.support.planning import Line, open_line
from transferline.methods.label_budget import FILE
from transferline.methods.objectives import Masked
from transferline.methods.parameter import Probe
from transferline.models.bases import FolderBase
from transferline.recipes.chain import Chain, Pin, Step
from transferline.tasks.support.caching import Built

RUN: Any = SimpleNamespace(run_id="run-1", experiment_id="7")
DATA = {"train": Pin(Path("train.jsonl"), "m1"), "corpus": Pin(Path("corpus.jsonl"), "m2")}


@pytest.fixture
def line(bare: Path) -> Line:
    return open_line("reviews", "masked", None, "cpu", "fp32")


@pytest.fixture
def chain() -> Chain:
    base = Step("base", FolderBase(method="folder", path="tiny"), role="base")
    adapt = Step("adapt", Masked(), (base.key,), (("corpus", "m2"),), 0, "challenger")
    tune = Step("tune", Probe(), (adapt.key,), (("train", "m1"),), 1, "challenger")
    return Chain("reviews", "masked", Setting.UNKNOWN, (base, adapt, tune))


def test_every_kind_of_step_of_a_chain_has_a_task() -> None:
    assert set(STAGES) == set(get_args(StageKind)) - {"predict"}  # predictions are made after the chain
    assert STAGES["adapt"].name == "adapt"


def test_the_family_is_checked_after_the_base_and_before_anything_else(
    line: Line, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def build(wanted: Any, runner: Any, known: Any = None) -> dict[str, Built]:
        order.extend(request.step.kind for _, request in wanted if request.key not in (known or {}))
        return {request.key: Built(Checkpoint(key=request.key, digest=""), False) for _, request in wanted}

    monkeypatch.setattr(chain_building, "build_all", build)
    record(monkeypatch, chain_building, "commit", "abc")
    monkeypatch.setattr(Line, "check_family", lambda *_: order.append("checked"))
    built = build_chain(line, chain, DATA, RUN, None)  # type: ignore[arg-type]
    assert order == ["base", "checked", "adapt", "tune"]
    assert set(built) == {step.key for step in chain}


def test_each_request_has_its_own_step_and_files(line: Line, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Recorder({})
    monkeypatch.setattr(chain_building, "build_all", build)
    record(monkeypatch, chain_building, "commit", "abc")
    monkeypatch.setattr(Line, "check_family", lambda *_: None)
    build_chain(line, chain, DATA, RUN, None)  # type: ignore[arg-type]
    wanted = build.calls[1][0][0]
    assert [task.name for task, _ in wanted] == ["collect base", "adapt", "tune"]
    assert [request.data for _, request in wanted] == [
        {},
        {"corpus": Path("corpus.jsonl")},
        {"train": Path("train.jsonl")},
    ]
    for _, request in wanted:
        assert (request.run_id, request.experiment, request.tags) == ("run-1", "7", {"commit": "abc"})
        assert request.runtime == line.runtime


def test_what_requests_share(line: Line, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch, chain_building, "commit", "abc")
    assert request_of(line, chain, RUN).step == chain.steps[0]


def test_examples_that_an_earlier_step_has_chosen_lie_in_the_store(bare: Path) -> None:
    step = Step("tune", Probe(), (), (("train", "select-1"), ("validation", "m1")))
    assert places_of(step, DATA) == {"train": bare / "store" / "select-1" / FILE, "validation": Path("train.jsonl")}
