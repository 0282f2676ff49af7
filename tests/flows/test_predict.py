"""Batch prediction: a table with a row for every text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.recording import Recorder, record
from transferline.core.errors import InputError
from transferline.data.input_form import InputForm
from transferline.flows import predict as module
from transferline.flows.predict import predict
from transferline.flows.support.batch_scoring import RegisteredModel
from transferline.inference.text_scoring import Scored

READ: dict[str, Callable[[Path], pd.DataFrame]] = {
    "csv": pd.read_csv,
    "jsonl": lambda path: pd.read_json(path, lines=True),
    "parquet": pd.read_parquet,
}


@pytest.fixture
def score(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A model that finds every other text good."""
    outputs = np.array([[0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])
    record(monkeypatch, module, "begin")
    (bare / "in.csv").write_text("text,second\none,x\ntwo,y\nthree,ä\n")
    scored = Scored("single-label", ("bad", "good"), outputs, np.zeros((3, 0)))
    record(monkeypatch, module, "find_model", lambda name: model_of(name, InputForm("single-label")))
    return record(monkeypatch, module, "score", scored)


def model_of(name: str, form: InputForm) -> RegisteredModel:
    return RegisteredModel("4" if name == "reviews@champion" else "2", Path("folder"), form)


@pytest.mark.parametrize("suffix", READ)
def test_every_text_gets_a_label_and_its_probabilities(
    suffix: str, score: Recorder, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = record(monkeypatch, module, "create_table_artifact")
    outcome = predict.fn("reviews", "in.csv", f"out/table.{suffix}")
    assert outcome == {"output": str(bare / "out" / f"table.{suffix}"), "rows": "3", "version": "4"}
    table = READ[suffix](Path(outcome["output"]))
    assert list(table["text"]) == ["one", "two", "three"]
    assert list(table["label"]) == ["good", "bad", "good"]
    assert list(table["p:good"]) == pytest.approx([0.8, 0.3, 0.6])
    assert [path.name for path in (bare / "out").iterdir()] == [f"table.{suffix}"]  # no part is left
    assert page.only[0][0] == [{"label": "good", "texts": 2}, {"label": "bad", "texts": 1}]
    (model, records, device), options = score.only
    assert (model.version, device, options) == ("4", "auto", {"look": False})
    assert records == [{"text": "one"}, {"text": "two"}, {"text": "three"}]


def test_pairs_and_another_version(score: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch, module, "create_table_artifact")
    record(monkeypatch, module, "find_model", lambda name: model_of(name, InputForm("single-label", pair=True)))
    outcome = predict.fn("reviews", "in.csv", pair="second", version="2", device="cpu")
    (model, records, device), _ = score.only
    assert (model.version, device) == ("2", "cpu")
    sides = [("one", "x"), ("two", "y"), ("three", "ä")]
    assert records == [{"text": text, "pair": pair} for text, pair in sides]
    table = pd.read_parquet(outcome["output"])
    assert list(zip(table["text"], table["pair"], strict=True)) == sides


def test_a_pair_model_without_its_second_text_and_a_model_of_texts_with_two_are_refused(
    score: Recorder, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="the model reads one text, and a second text is given"):
        predict.fn("reviews", "in.csv", pair="second")
    record(monkeypatch, module, "find_model", lambda name: model_of(name, InputForm("single-label", pair=True)))
    with pytest.raises(InputError, match=r"the second is missing\. Name its column by `--pair COLUMN`"):
        predict.fn("reviews", "in.csv")
    assert score.calls == []
    assert not (bare / "predictions.parquet").exists()


def test_blank_lines_are_named(score: Recorder, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch, module, "create_table_artifact")
    printed = record(monkeypatch, module.console, "print")
    (bare / "in.txt").write_text("\none\n\n\ntwo\nthree\n\n")
    table = pd.read_parquet(predict.fn("reviews", "in.txt")["output"])
    assert list(table["row"]) == [2, 5, 6]
    assert printed.calls[-1][0] == ("3 blank lines have no row: in.txt, line 1; in.txt, line 3; in.txt, line 4",)


def test_a_failing_write_leaves_the_table_of_before(
    score: Recorder, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, module, "create_table_artifact")
    predict.fn("reviews", "in.csv", "out.csv")
    before = (bare / "out.csv").read_text()

    def torn(self: pd.DataFrame, path: Path, **_: object) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", torn)
    with pytest.raises(OSError, match="No space left"):
        predict.fn("reviews", "in.csv", "out.csv")
    assert (bare / "out.csv").read_text() == before
