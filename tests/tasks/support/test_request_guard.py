"""Wrong requests get a status below 500 with a reason, and nothing of the server's inside."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.signature import ModelSignature
from mlflow.pyfunc import PyFuncModel
from mlflow.types.schema import ColSpec, Schema
from starlette.testclient import TestClient

from transferline.tasks.support.model_server import guarded
from transferline.tasks.support.request_guard import reason_of

LARGEST = 2000
SOUND = json.dumps({"dataframe_split": {"columns": ["text"], "data": [["a"], ["b"]]}})


class Lengths:
    """A model that answers lengths, refuses an empty text, and breaks on `break`."""

    def predict(self, table: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        texts = list(table["text"])
        if "break" in texts:
            raise OSError("/home/secret/weights is gone")
        if "" in texts:
            raise MlflowException.invalid_parameter_value("input, row 1: the text is empty")
        return pd.DataFrame({"prediction": [len(text) for text in texts]})


@pytest.fixture(scope="module")
def client() -> TestClient:
    signature = ModelSignature(inputs=Schema([ColSpec("string", "text")]))
    meta = Model(signature=signature, flavors={"python_function": {"loader_module": "none"}})
    return TestClient(guarded(PyFuncModel(meta, Lengths()), LARGEST), raise_server_exceptions=False)


def post(client: TestClient, body: str | bytes, kind: str | None = "application/json") -> Any:
    return client.post("/invocations", content=body, headers={} if kind is None else {"content-type": kind})


def test_a_sound_request_is_answered_as_mlflow_answers_it(client: TestClient) -> None:
    answer = post(client, SOUND)
    assert (answer.status_code, answer.json()) == (200, {"predictions": [{"prediction": 1}, {"prediction": 1}]})
    assert client.get("/ping").status_code == 200


WRONG: dict[str, tuple[str | bytes, str | None, int]] = {
    "empty": ("", "application/json", 400),
    "white space": (" \n", "application/json", 400),
    "CSV": ("text\na\n", "text/csv", 415),
    "no content type": (SOUND, None, 415),
    "another content type": (SOUND, "application/x-pickle", 415),
    "parquet": (b"PAR1", "application/vnd.apache.parquet", 415),
    "no UTF-8": (b'{"\xff": 1}', "application/json", 400),
    "cut off": (SOUND[:-5], "application/json", 400),
    "nested": ("[" * 1900, "application/json", 400),
    "a list": ("[1]", "application/json", 400),
    "no known key": ('{"a": 1}', "application/json", 400),
    "an empty text": (SOUND.replace('"a"', '""'), "application/json", 400),
    "a number": (SOUND.replace('"a"', "1"), "application/json", 400),
    "another column": (SOUND.replace("text", "txet"), "application/json", 400),
    "ragged": (SOUND.replace('["a"]', '["a", "b"]'), "application/json", 400),
    "no table": ('{"dataframe_split": 5}', "application/json", 400),
    "too large": (SOUND.replace('"a"', '"' + "a" * LARGEST + '"'), "application/json", 413),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_request_is_refused_with_its_reason(kind: str, client: TestClient) -> None:
    body, content_type, status = WRONG[kind]
    answer = post(client, body, content_type)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"status", "message"}
    assert answer.json()["message"]
    assert "Traceback" not in answer.text


def test_the_reason_is_the_models_own_without_rows_and_notes_around_it() -> None:
    told = {"message": "Failed to predict data '  text\n0 x'. \nError: row 1: empty", "stack_trace": "File x"}
    assert reason_of(json.dumps(told).encode(), 400) == "row 1: empty"
    assert reason_of(b'{"message": "no key. IMPORTANT: the protocol changed"}', 400) == "no key."
    assert "x.py" not in reason_of(b"Traceback: x.py", 500)


def test_a_failure_of_the_model_tells_nothing_of_its_inside(client: TestClient) -> None:
    answer = post(client, SOUND.replace('"a"', '"break"'))
    assert answer.status_code >= 400
    assert "Traceback" not in answer.text
    assert "File " not in answer.text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["columns", "data", "text"]), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", "text"])
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=2).map(lambda value: json.dumps(value).encode())


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode), OBJECTS))
def test_no_body_is_answered_with_a_stack_trace(client: TestClient, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    answer = client.post(
        "/invocations", content=(b"x" * 500 for _ in range(50)), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
