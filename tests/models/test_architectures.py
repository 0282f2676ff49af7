"""The tables that are read from transformers' source are those that it has."""

from __future__ import annotations

import subprocess
import sys

import pytest
from transformers.models.auto import modeling_auto

from transferline.models.architectures import table

NAMES = ("MASKED_LM", "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION")


@pytest.mark.parametrize("name", [*NAMES, "NEXT_SENTENCE_PREDICTION", "IMAGE_CLASSIFICATION"])
def test_a_table_is_what_transformers_says(name: str) -> None:
    assert table(name) == dict(getattr(modeling_auto, f"MODEL_FOR_{name}_MAPPING_NAMES"))
    assert len(table(name)) > 3


def test_a_table_that_is_not_there_is_empty() -> None:
    assert table("NOTHING") == {}


def test_asking_loads_no_torch() -> None:
    asked = "print(Family('bert').can('masked LM'), 'torch' in sys.modules)"
    code = f"import sys; from transferline.models.families import Family; {asked}"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "False"]
