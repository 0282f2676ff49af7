"""Tables of predictions: written in the format of their suffix, and never over anything else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from transferline.core.errors import InputError
from transferline.data.declarations import Read
from transferline.data.read import read_rows
from transferline.flows.support import prediction_files
from transferline.flows.support.prediction_files import FORMATS, place_of, write_table

TABLE = pd.DataFrame(
    {"file": ["a.csv"] * 3, "row": [1, 2, 3], "text": ['say "hi"', "a\tb, c", "naïve 文"], "label": ["1", "b", "c"]}
)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_reads_back_and_may_be_written_again(bare: Path, suffix: str) -> None:
    place = place_of(f"out/predictions{suffix}", "texts.txt")
    for _ in range(2):  # the second time over the first
        write_table(TABLE, place_of(f"out/predictions{suffix}", "texts.txt"))
    rows = [row.values for row in read_rows(place, Read())]
    assert [row["label"] for row in rows] == ["1", "b", "c"]
    assert [" ".join(str(row["text"]).split()) for row in rows] == ['say "hi"', "a b, c", "naïve 文"]


@pytest.mark.parametrize("name", ["params.yaml", "dvc.lock", "predictions", "x.txt", "model.safetensors", "../x.yaml"])
def test_only_tables_are_written(bare: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no format for tables"):
        place_of(name, "texts.txt")


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_no_table_of_predictions_is_not_replaced(bare: Path, suffix: str) -> None:
    place = bare / f"reviews{suffix}"
    if suffix == ".parquet":
        pd.DataFrame({"text": ["a"], "label": ["b"]}).to_parquet(place)
    else:
        place.write_text('{"text": "a"}\n' if suffix == ".jsonl" else "text,label\na,b\n")
    before = place.read_bytes()
    with pytest.raises(InputError, match="not a table of predictions"):
        place_of(place.name, "texts.txt")
    place.write_bytes(b"\xff\x00 broken")
    with pytest.raises(InputError, match="not a table of predictions"):
        place_of(place.name, "texts.txt")
    assert before


def test_the_texts_themselves_and_a_folder_are_refused(bare: Path) -> None:
    with pytest.raises(InputError, match="is the file of the texts"):
        place_of("texts.csv", "./texts.csv")
    (bare / "folder.csv").mkdir()
    with pytest.raises(InputError, match="not a table"):
        place_of("folder.csv", "texts.txt")


def test_a_deployment_writes_inside_the_project_only(
    bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (bare / "link").symlink_to(outside)
    assert place_of(str(outside / "x.csv"), "texts.txt") == outside / "x.csv"  # a command of a person
    monkeypatch.setattr(prediction_files, "deployment", SimpleNamespace(id="some"))
    for name in (str(outside / "x.csv"), "../elsewhere/x.csv", "link/x.csv"):
        with pytest.raises(InputError, match="lies outside the project"):
            place_of(name, "texts.txt")
    assert place_of("out/x.csv", "texts.txt") == bare / "out" / "x.csv"
