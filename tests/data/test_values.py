"""Typed values: a label has one form whatever wrote it, and what is no label or text is refused by name."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transferline.data.declarations import Read
from transferline.data.read import checked, read_rows
from transferline.data.values import ValueProblem, is_missing, label_form, number_form, text_form

NUMBERS = st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 4))
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=8
)
QUICK = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_back(path: Path) -> list[str]:
    return [checked(row, "label", label_form) for row in read_rows(path, Read())]


@QUICK
@given(st.lists(NUMBERS, min_size=1, max_size=20) | st.lists(st.booleans(), min_size=1) | st.lists(NAMES, min_size=1))
def test_a_label_has_one_form_in_every_format_and_type(tmp_path: Path, values: list[object]) -> None:
    wanted = [label_form(value) for value in values]
    table = pd.DataFrame({"text": "x", "label": values})
    table.to_json(tmp_path / "a.jsonl", orient="records", lines=True, double_precision=15)
    table.to_parquet(tmp_path / "a.parquet")
    table.assign(label=[str(value) for value in values]).to_parquet(tmp_path / "b.parquet")
    table.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"text": "x", "label": str(v)}) + "\n" for v in values))
    for name in ("a.jsonl", "a.parquet", "b.parquet", "a.csv", "b.jsonl"):
        assert read_back(tmp_path / name) == wanted, name


@pytest.mark.parametrize(
    "group", [(1, 1.0, "1", "1.0", "1.00", "+1", np.int8(1), np.float32(1), Decimal("1.0"), " 1 ")]
)
def test_spellings_of_one_number_are_one_label(group: tuple[object, ...]) -> None:
    assert {label_form(value) for value in group} == {"1"}
    assert label_form("007") == "007"  # a code
    assert label_form(np.float32(0.1)) == label_form("0.1") == "0.1"
    assert label_form(0) == "0" == label_form("-0")
    assert label_form(False) == "false"


STRUCTURES = [None, math.nan, [1], {"a": 1}, b"x", datetime.date(2020, 1, 1), math.inf, {1}, pd.NA, pd.NaT]


@pytest.mark.parametrize("value", STRUCTURES, ids=str)
def test_what_is_no_label_is_refused(value: object) -> None:
    with pytest.raises(ValueProblem):
        label_form(value)
    with pytest.raises(ValueProblem):
        text_form(value)
    with pytest.raises(ValueProblem):
        number_form(value)


@pytest.mark.parametrize("value", [0, 0.0, False, [], {}])
def test_zero_false_and_empty_structures_are_values(value: object) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize("value", [None, math.nan, "", "  ", "\u200b", "\ufeff", pd.NA, np.float32("nan")])
def test_what_has_nothing_visible_is_missing(value: object) -> None:
    assert is_missing(value)


@pytest.mark.parametrize(
    ("text", "mend"), [("1_000", "1000 without underscores"), ("1,5", "1.5"), ("1,234,567", "1234567")]
)
def test_numbers_with_separators_are_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ValueProblem) as refused:
        number_form(text)
    assert mend in refused.value.mend


@QUICK
@given(st.floats(-3.4e38, 3.4e38, allow_nan=False) | st.integers(-(10**30), 10**30))
def test_a_number_is_the_same_from_its_text(value: float) -> None:
    assert number_form(value) == number_form(repr(value)) == float(value)
