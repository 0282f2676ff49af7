"""Laws of renamed settings: both names are read, identities stay, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferline.core.former_names import FORMER_NAMES, present_name, with_former_names, with_present_names
from transferline.core.stage import Stage
from transferline.methods.objectives import Masked
from transferline.recipes.registry import ADAPTING, INSTANCES, TUNING

ALL = {**ADAPTING, **INSTANCES, **TUNING}
values = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FORMER_NAMES, "epochs"]), inner),
    max_leaves=10,
)


@given(values)
def test_present_and_former_names_are_inverse(value: object) -> None:
    assert with_present_names(with_former_names(value)) == value
    assert with_present_names(value) == value


def test_a_renamed_setting_keeps_the_identity_of_its_stage() -> None:
    present, former = (Masked(schedule={name: 3e-4}) for name in ("learning_rate", "rate"))
    assert present == former
    assert present.canonical()["schedule"] == {"rate": 3e-4}


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="former name of learning_rate"):
        Masked(schedule={"rate": 1e-4, "learning_rate": 1e-4})


def test_a_path_of_settings_is_renamed_part_by_part() -> None:
    assert present_name("tune.schedule.learning_rate") == "tune.schedule.learning_rate"
    assert present_name("tune.strengths") == "tune.Cs"
    assert present_name("adapt.0.tokens") == "adapt.0.tokens"


@pytest.mark.parametrize("name", ALL)
def test_no_method_has_a_setting_under_a_former_name(name: str) -> None:
    method: type[Stage] = ALL[name]
    assert not set(method.model_fields) & set(FORMER_NAMES.values())
