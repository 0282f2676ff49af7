"""Texts of a file, scored by a registered model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.recording import record
from transferline.core.errors import InputError
from transferline.flows.support import batch_scoring
from transferline.flows.support.batch_scoring import read_texts, score


def test_texts_are_read_in_their_order_from_a_file_or_a_folder(bare: Path) -> None:
    (bare / "in").mkdir()
    (bare / "in" / "a.csv").write_text("body,other\none,1\ntwo,2\n")
    (bare / "in" / "b.csv").write_text("body,other\nthree,3\n")
    rows, texts = read_texts("in/a.csv", "body")
    assert texts == ["one", "two"]
    assert len({row.number for row in rows}) == 2
    assert read_texts("in", "body")[1] == ["one", "two", "three"]


def test_a_missing_file_or_column_is_refused(bare: Path) -> None:
    with pytest.raises(InputError, match="there is no such file or folder"):
        read_texts("nowhere.csv", "text")
    (bare / "a.csv").write_text("body\none\n")
    with pytest.raises(InputError, match="'text'"):
        read_texts("a.csv", "text")


@pytest.mark.parametrize("pairs", [None, ["x", "y"]])
def test_the_registered_version_scores_the_texts(
    pairs: list[str] | None, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = SimpleNamespace(version=7)
    found = record(monkeypatch, batch_scoring, "find_version", version)
    brought = record(monkeypatch, batch_scoring, "bring_back", "tune-1")
    scored = record(monkeypatch, batch_scoring, "score_texts", "scores")
    assert score("film@champion", ["one", "two"], "cpu", pairs, look=False) == ("7", "scores")
    assert found.only[0] == ("film@champion",)
    assert brought.only[0] == (version,)
    (folder, records, runtime, look), _ = scored.only
    assert (folder, runtime.device, look) == (bare / "store" / "tune-1", "cpu", False)
    second = [{"pair": "x"}, {"pair": "y"}] if pairs else [{}, {}]
    assert records == [{"text": "one", **second[0]}, {"text": "two", **second[1]}]
