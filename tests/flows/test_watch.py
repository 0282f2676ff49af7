"""Drift of a stream: the alarm, its events, and what is measured."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.project import declare
from tests.recording import record
from transferline.core.errors import InputError
from transferline.data.input_form import InputForm
from transferline.data.prepared_files import write_jsonl
from transferline.evaluation.drift import LEAST
from transferline.flows import watch as module
from transferline.flows.support.batch_scoring import RegisteredModel
from transferline.flows.watch import MOST, watch
from transferline.inference.text_scoring import Scored
from transferline.recipes.chain import Pin

OPERATION = {"reviews": {"watch": {"stream": "incoming.txt", "threshold": 0.5, "retrain": True}}}


def write_stream(path: Path, rows: int = 150) -> None:
    path.write_text("".join(f"new<br>text {i}\n" for i in range(rows)))


@pytest.fixture
def away(bare: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """How far the features of the stream lie from those of the held-out texts; a test may change it."""
    far = {"distance": 0.0}
    for role in ("validation", "test"):
        write_jsonl(bare / f"{role}.jsonl", ({"id": str(i), "text": f"old text {i}"} for i in range(100)))
    data = {role: Pin(bare / f"{role}.jsonl", role) for role in ("validation", "test")}

    def find_model(name: str) -> RegisteredModel:
        assert name == "reviews@champion"
        return RegisteredModel("1", bare, InputForm("single-label", html=True))

    def score(model: RegisteredModel, records: list[dict[str, str]]) -> Scored:
        assert model.folder == bare
        texts = [record["text"] for record in records]
        assert all(set(record) == {"text"} and "<br>" not in record["text"] for record in records)
        rng = np.random.default_rng(0)
        new = np.array([text.startswith("new") for text in texts])
        features = rng.normal(size=(len(texts), 4)) + far["distance"] * new[:, None]
        outputs = np.tile([0.9, 0.1], (len(texts), 1))
        return Scored("single-label", ("a", "b"), outputs, features)

    monkeypatch.setattr(module, "locked_data", lambda target, params: data)
    monkeypatch.setattr(module, "find_model", find_model)
    monkeypatch.setattr(module, "score", score)
    record(monkeypatch, module, "begin")
    record(monkeypatch, module, "create_table_artifact")
    write_stream(bare / "incoming.txt")
    declare(bare, operations=OPERATION)
    return far


@pytest.mark.parametrize(("distance", "alarm"), [(0.0, False), (5.0, True)])
def test_a_stream_that_a_classifier_can_tell_apart_raises_the_alarm_and_wants_a_retrain(
    distance: float, alarm: bool, away: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = record(monkeypatch, module, "tell")
    away["distance"] = distance
    found = watch.fn("reviews")
    assert found["alarm"] == alarm
    assert (found["reference"], found["stream"]) == (200, 150)
    assert found["label_shift"] == 0
    assert [args[0] for args, _ in told.calls] == (["drift", "retrain.wanted"] if alarm else [])


def test_a_given_threshold_and_stream_go_before_the_declared_ones(
    away: dict[str, float], bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = record(monkeypatch, module, "tell")
    away["distance"] = 5.0
    write_stream(bare / "other.txt", 120)
    found = watch.fn("reviews", "other.txt", 2.0)  # no distance is above 2
    assert (found["alarm"], found["stream"]) == (False, 120)
    assert told.calls == []


def test_a_target_that_declares_no_retrain_gets_none(
    away: dict[str, float], bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = record(monkeypatch, module, "tell")
    declare(bare)
    away["distance"] = 5.0
    assert watch.fn("reviews", "incoming.txt")["alarm"]
    assert [args[0] for args, _ in told.calls] == ["drift"]


def test_without_a_stream_or_with_too_few_texts_it_is_refused(away: dict[str, float], bare: Path) -> None:
    write_stream(bare / "incoming.txt", LEAST - 1)
    with pytest.raises(InputError, match=f"200 reference and {LEAST - 1} new texts"):
        watch.fn("reviews")
    declare(bare)
    with pytest.raises(InputError, match="no stream is declared"):
        watch.fn("reviews")


def test_a_pair_model_needs_the_column_of_the_second_text(
    away: dict[str, float], bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = InputForm("single-label", pair=True)
    record(monkeypatch, module, "find_model", RegisteredModel("1", bare, form))
    with pytest.raises(InputError, match=r"Name its column by operations\.reviews\.watch\.pair"):
        watch.fn("reviews")


@pytest.mark.parametrize("rows", [1, MOST, MOST + 1, 2 * MOST, 10 * MOST + 7])
def test_many_texts_are_thinned_evenly(rows: int) -> None:
    kept: Any = module._some([str(i) for i in range(rows)])
    assert len(kept) <= MOST
    assert len(kept) > min(rows, MOST) / 2 - 1
    steps = {int(b) - int(a) for a, b in pairwise(kept)}
    assert len(steps) <= 1
