"""Batch prediction: a table with a row for every text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.recording import Recorder, record
from transferline.flows import predict as module
from transferline.flows.predict import predict
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
    return record(monkeypatch, module, "score", ("4", scored))


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
    (model, texts, device, pairs), options = score.only
    assert (model, texts, device, pairs) == ("reviews@champion", ["one", "two", "three"], "auto", None)
    assert options == {"look": False}


def test_pairs_and_another_version(score: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    record(monkeypatch, module, "create_table_artifact")
    predict.fn("reviews", "in.csv", pair="second", version="2", device="cpu")
    assert score.only[0] == ("reviews@2", ["one", "two", "three"], "cpu", ["x", "y", "ä"])


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
