"""One way from raw rows to outputs: the evaluation, `predict` and the served model agree on every digit, and refuse alike."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from tests.kinds import CPU, QUICK, SPECS, build, write_rows
from tests.matrices import blobs
from transferline.core.errors import InputError
from transferline.data.declarations import Read, Share, TargetSpec
from transferline.data.input_form import FILE, InputForm
from transferline.data.prepare import prepare
from transferline.data.prepared_files import read_jsonl, write_jsonl
from transferline.data.read import Row, read_rows
from transferline.evaluation.prediction_tables import read_predictions
from transferline.inference.prediction import predict
from transferline.inference.serving import Served
from transferline.inference.text_scoring import Scored, Scorer
from transferline.methods.parameter import Full
from transferline.models.random_init import FeaturesBase
from transferline.tasks.support.mlflow_model import log_model, with_form

MORE: dict[str, dict[str, Any]] = {"both ends": {}, "features": {"features": 6}}
DECLARED = {**SPECS, **MORE}
BREAKS = ("<br />", "<BR>", " <p>", "</p> ")


def raw(text: str, number: int) -> str:
    """A text as files have it: HTML breaks, repeated white space, a decomposed letter."""
    words = text.split()
    words.insert(number % (len(words) + 1), BREAKS[number % len(BREAKS)] + "caf\u00e9")
    return unicodedata.normalize("NFD", "  \t".join(words)) + "\u00a0\n"


def write_raw(root: Path) -> None:
    for split, rows, seed in (("train", 120, 0), ("test", 50, 1)):
        write_rows(root / "clean.jsonl", rows, seed)
        records = read_jsonl(root / "clean.jsonl")
        for number, record in enumerate(records):
            record["text"], record["pair"] = raw(record["text"], number), raw(record["pair"], number + 1)
        write_jsonl(root / f"{split}.jsonl", records)
        points, y_true = blobs(rows, 6, 2, seed)
        np.savez(root / f"{split}.npz", X=points, y=y_true)


class Model:
    """A tuned model of one kind, its raw test rows and its prepared test."""

    def __init__(self, kind: str, root: Path, base: Path) -> None:
        suffix = "npz" if kind == "features" else "jsonl"
        read = {split: Read(file=f"{split}.{suffix}") for split in ("train", "test")}
        html = kind not in ("features", "tokens")
        fields = {"read": read, "split": Share(validation=0.2), "html": html, **DECLARED[kind]}
        self.spec = TargetSpec(domain="d", data=root.name, **fields)
        prepare(kind, self.spec, root.parent, root / kind)
        splits = {split: root / kind / f"{split}.jsonl" for split in ("train", "validation", "test")}
        pooling = "first" if kind == "generation" else "mean"
        truncation = {"truncation": "both", "max_tokens": 8} if kind == "both ends" else {}
        method = Full(**{**QUICK, "epochs": 1, "pooling": pooling, **truncation})
        self.folder, _ = build(method, splits, root / f"{kind}-model", base)
        self.form, self.test, self.kind = InputForm.of(self.spec), splits["test"], kind
        self.rows = list(read_rows(root, read["test"]))

    def table(self) -> pd.DataFrame:
        columns = {"text": self.spec.text, **({"pair": self.spec.pair} if self.spec.pair else {})}
        return pd.DataFrame({name: [row.values[column] for row in self.rows] for name, column in columns.items()})

    def served(self, scratch: Path) -> Served:
        scratch.mkdir()
        return Served(with_form(self.folder, self.form, scratch))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, bases: Callable[[str], Path]) -> Callable[[str], Model]:
    """The model of a kind, built once."""
    root, made = tmp_path_factory.mktemp("served"), {}
    write_raw(root)

    def of(kind: str) -> Model:
        if kind not in made:
            if kind == "features":
                base, _ = build(FeaturesBase(method="features", width=6), {}, root / "base", Path())
            else:
                base = bases("t5" if kind == "generation" else "bert")
            made[kind] = Model(kind, root, base)
        return made[kind]

    return of


@pytest.mark.parametrize("kind", DECLARED)
def test_evaluation_predict_and_serving_give_the_same_digits_on_raw_rows(
    kind: str, model: Callable[[str], Model], tmp_path: Path
) -> None:
    one = model(kind)
    (tmp_path / "p").mkdir()
    predict(one.folder, one.test, CPU, tmp_path / "p")
    evaluated = read_predictions(tmp_path / "p")
    records = one.form.records(one.rows, one.spec.text, one.spec.pair)
    scored = Scorer(one.folder, CPU).score(records, look=False)
    assert len(scored.outputs) == len(evaluated.ids) == len(one.rows) == 50
    shown = Scored(scored.kind, scored.labels, evaluated.outputs, scored.features)
    np.testing.assert_array_equal(scored.outputs, evaluated.outputs)
    answer = one.served(tmp_path / "s").predict(one.table())
    assert answer["prediction"].tolist() == scored.predicted == shown.predicted
    for column, values in scored.columns().items():
        np.testing.assert_array_equal(answer[column].to_numpy(), values)


@pytest.mark.parametrize("kind", ["single-label", "pairs", "regression", "both ends"])
def test_the_law_would_fail_without_the_form(kind: str, model: Callable[[str], Model], tmp_path: Path) -> None:
    one = model(kind)
    served = one.served(tmp_path / "s")
    right = served.predict(one.table())
    served.form = None  # as before: texts as they are
    assert not right.equals(served.predict(one.table()))


@pytest.mark.parametrize("kind", DECLARED)
def test_a_prepared_row_is_left_as_it_is(kind: str, model: Callable[[str], Model]) -> None:
    one = model(kind)
    for record in read_jsonl(one.test):
        again = one.form.record(Row(record, "f", 1), "words" if kind == "tokens" else "text")
        assert again == {name: record[name] for name in again}


WRONG: dict[str, Any] = {
    "null": None,
    "NaN": float("nan"),
    "a number": 7,
    "a float": 1.5,
    "a truth value": True,
    "a list": ["a", "b"],
    "an object": {"text": "a"},
    "bytes": b"a",
    "nothing": "",
    "white space": " \n\t",
    "only breaks": "<br /><p>",
}


@pytest.mark.parametrize("kind", ["single-label", "pairs", "multi-label", "regression", "generation"])
@pytest.mark.parametrize("name", WRONG)
def test_a_value_that_is_no_text_is_refused_with_row_and_column(
    name: str, kind: str, model: Callable[[str], Model], tmp_path: Path
) -> None:
    one = model(kind)
    column = "pair" if kind == "pairs" else "text"
    table = one.table().astype(object)
    table.at[2, column] = WRONG[name]
    with pytest.raises(MlflowException, match=rf"input, row 3: column '{column}' (is empty|holds)") as served:
        one.served(tmp_path / "s").predict(table)
    assert served.value.get_http_status_code() == 400
    rows = [Row(values, "new.jsonl", i) for i, values in enumerate(table.to_dict("records"), start=1)]
    with pytest.raises(InputError, match=rf"new\.jsonl, row 3: column '{column}' (is empty|holds)"):
        one.form.records(rows)


def test_every_row_that_cannot_be_read_is_named() -> None:
    texts: list[Any] = ["a", None, "b", 3, ""]
    rows = [Row({"text": text}, "new.jsonl", i) for i, text in enumerate(texts, start=1)]
    named = r"3 of 5 rows cannot be read: new\.jsonl, row 2, new\.jsonl, row 4, new\.jsonl, row 5"
    with pytest.raises(InputError, match=named):
        InputForm("single-label").records(rows)


def test_words_may_be_a_list_or_a_text_and_nothing_else(model: Callable[[str], Model], tmp_path: Path) -> None:
    one = model("tokens")
    served = one.served(tmp_path / "s")
    lists = one.table()
    texts = pd.DataFrame({"text": [" ".join(words) for words in lists["text"]]})
    assert served.predict(lists).equals(served.predict(texts))
    for wrong in ([], ["a", None], ["a", 5], ["a", " "], 5, None, {"a": 1}):
        with pytest.raises(MlflowException, match=r"row 2: column 'text' (is empty|holds)"):
            served.predict(pd.DataFrame({"text": ["a film", wrong]}, dtype=object))


def test_rows_of_a_matrix_are_checked(model: Callable[[str], Model], tmp_path: Path) -> None:
    served = model("features").served(tmp_path / "s")
    with pytest.raises(MlflowException, match="row 2: column 9 where the matrix has 6 columns"):
        served.predict(pd.DataFrame({"text": ["0:1.0", "9:1.0"]}))
    with pytest.raises(MlflowException, match="row 1: 'nice' is no feature"):
        served.predict(pd.DataFrame({"text": ["nice film"]}))


def test_a_model_without_a_form_serves_texts_as_before_and_reads_no_null(
    model: Callable[[str], Model],
) -> None:
    one = model("pairs")
    assert not (one.folder / FILE).exists()
    served = Served(one.folder)
    sides = [{"text": "a film ", "pair": "<br>dull"}]
    assert served.records(pd.DataFrame(sides)) == sides
    with pytest.raises(InputError, match="row 1: column 'pair' holds a value of type"):
        served.records(pd.DataFrame({"text": ["a film"], "pair": [None]}))


def test_settings_of_a_later_release_are_refused() -> None:
    form = InputForm("single-label", html=True, pair=True)
    assert InputForm.parse(form.dump()) == form
    with pytest.raises(InputError, match=r"unknown settings \['emoji'\]"):
        InputForm.parse(json.dumps({"task": "single-label", "emoji": True}))


@pytest.mark.parametrize("kind", ["single-label", "pairs", "features", "tokens"])
def test_mlflows_own_server_gives_the_same_digits_and_status_400(
    kind: str, model: Callable[[str], Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from fastapi.testclient import TestClient
    from mlflow.pyfunc.scoring_server import init

    from transferline.tasks.support.tracking import client, experiment

    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    one = model(kind)
    run = client().create_run(experiment("t"))
    loaded = mlflow.pyfunc.load_model(
        f"models:/{log_model(one.folder, one.form, run.info.run_id, 'challenger', 'card')}"
    )
    table = one.table()
    expected = one.served(tmp_path / "s").predict(table)
    assert loaded.predict(table).equals(expected)
    with TestClient(init(loaded)) as http:

        def ask(columns: list[str], data: list[list[Any]]) -> Any:
            return http.post("/invocations", json={"dataframe_split": {"columns": columns, "data": data}})

        names = list(table.columns)
        answer = ask(names, table.to_numpy().tolist()).json()["predictions"]
        # JSON has no fp32: the digits are compared as fp64
        wide = {name: float for name in expected.columns if name != "prediction"}
        assert pd.DataFrame(answer).equals(expected.astype(wide))
        good = [one.table().iloc[0][name] for name in names]
        for wrong in (None, 5, 1.5, True, {"a": 1}):
            found = ask(names, [good, [*good[:-1], wrong]])
            assert (found.status_code, "row 2: column" in found.text) == (400, True), (wrong, found.text)
        second = ask(
            ["text"] if kind == "pairs" else ["text", "pair"], [["0:1.0"] if kind == "pairs" else ["0:1.0"] * 2]
        )
        assert second.status_code == 400
        assert "second text is given" in second.text or "the second is missing" in second.text
        nameless = ask(["body"], [["a film"]])
        assert (nameless.status_code, "no column 'text'" in nameless.text) == (400, True), nameless.text
        records = [{"text": None, **({"pair": "x"} if kind == "pairs" else {})}]
        for payload in ({"dataframe_records": records}, {"instances": records}, {"inputs": records}):
            found = http.post("/invocations", json=payload)
            assert (found.status_code, "row 1: column 'text'" in found.text) == (400, True), (payload, found.text)
