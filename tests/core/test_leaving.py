"""Leaving is no error, and can be taken back."""

from __future__ import annotations

from transferline.core.leaving import GRACE, Leaving, is_leaving, leave, stay


def test_a_process_leaves_until_it_stays() -> None:
    assert not is_leaving()
    leave()
    assert is_leaving()
    stay()
    assert not is_leaving()


def test_handlers_of_errors_let_it_pass_and_there_is_time_before_sigkill() -> None:
    assert not issubclass(Leaving, Exception)
    assert GRACE < 30
