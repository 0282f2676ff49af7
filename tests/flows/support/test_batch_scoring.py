"""Rows of a file, scored by a registered model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.recording import record
from transferline.core.errors import InputError
from transferline.data.declarations import Read, TargetSpec
from transferline.data.input_form import InputForm
from transferline.data.read import first_column_of
from transferline.flows.support import batch_scoring
from transferline.flows.support.batch_scoring import RegisteredModel, find_model, read_records, score

ONE = InputForm("single-label")


def test_texts_are_read_in_their_order_from_a_file_or_a_folder(bare: Path) -> None:
    (bare / "in").mkdir()
    (bare / "in" / "a.csv").write_text("body,other\none,1\ntwo,2\n")
    (bare / "in" / "b.csv").write_text("body,other\nthree,3\n")
    rows, records = read_records("in/a.csv", ONE, "body")
    assert records == [{"text": "one"}, {"text": "two"}]
    assert len({row.number for row in rows}) == 2
    assert read_records("in", ONE, "body")[1] == [{"text": "one"}, {"text": "two"}, {"text": "three"}]


def test_a_missing_file_or_column_is_refused(bare: Path) -> None:
    with pytest.raises(InputError, match="there is no such file or folder"):
        read_records("nowhere.csv", ONE)
    (bare / "a.csv").write_text("body\none\n")
    with pytest.raises(InputError, match="'text'"):
        read_records("a.csv", ONE)


def test_the_registered_version_scores_the_records(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = InputForm("single-label", html=True)
    version = SimpleNamespace(version=7, tags={"transferline.input_form": form.dump()})
    found = record(monkeypatch, batch_scoring, "find_version", version)
    brought = record(monkeypatch, batch_scoring, "bring_back", "tune-1")
    scored = record(monkeypatch, batch_scoring, "score_texts", "scores")
    model = find_model("film@champion")
    assert model == RegisteredModel("7", bare / "store" / "tune-1", form)
    assert score(model, [{"text": "one"}], "cpu", look=False) == "scores"  # type: ignore[comparison-overlap]
    assert found.only[0] == ("film@champion",)
    assert brought.only[0] == (version,)
    (folder, records, runtime, look), _ = scored.only
    assert (folder, records, runtime.device, look) == (model.folder, [{"text": "one"}], "cpu", False)


def test_svmlight_files_count_their_columns_as_the_models_own_files_do(bare: Path) -> None:
    (bare / "a.svmlight").write_text("0 2:1.5 3:2\n0 3:1\n")
    for first, texts in ((0, ["2:1.5 3:2", "3:1"]), (1, ["1:1.5 2:2", "2:1"])):
        form = InputForm("single-label", features=4, first_column=first)
        assert [one["text"] for one in read_records("a.svmlight", form)[1]] == texts
        assert InputForm.parse(form.dump()) == form
    old = InputForm.parse('{"task": "single-label", "html": false, "pair": false, "features": 4, "lists": "refuse"}')
    with pytest.raises(InputError, match="counted from 0 or from 1"):
        read_records("a.svmlight", old)


def test_the_first_column_of_a_target_is_found_once_for_all_its_files(bare: Path) -> None:
    (bare / "m").mkdir()
    (bare / "m" / "train.svmlight").write_text("0 1:1.5 4:2\n")
    (bare / "m" / "test.svmlight").write_text("1 2:1\n")
    reads = {"train": Read(file="train.svmlight"), "test": Read(file="test.svmlight")}
    spec = TargetSpec(domain="d", data="m", features=4, read=reads)
    assert first_column_of(spec, bare) == 1
    assert first_column_of(TargetSpec(domain="d", data="nowhere.csv"), bare) is None
