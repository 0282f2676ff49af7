"""Failures of disk, servers and databases are one line; a defect of the program keeps its traceback."""

from __future__ import annotations

import errno
import sqlite3

import httpx
import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from transferline.cli.failures import told

WORD = "canary-word"
FAILURES = {
    "the disk is full": OSError(errno.ENOSPC, "No space left on device", "/store/x"),
    "a file cannot be written": PermissionError(errno.EACCES, "Permission denied", "/store/x"),
    "a database cannot be used": sqlite3.DatabaseError("database disk image is malformed"),
    "the database cannot be used": OperationalError(
        "SELECT 1", {}, Exception(f"no route to postgresql://a:{WORD}@db/x")
    ),
    "the Prefect server cannot be reached": httpx.ConnectError("All connection attempts failed"),
    "the MLflow server cannot be reached": MlflowException(
        "API request to http://h failed with exception: Max retries"
    ),
}


@pytest.mark.parametrize("start", FAILURES)
def test_it_is_one_line_also_when_a_library_has_wrapped_it(start: str) -> None:
    for wrap in (False, True):
        error: BaseException = FAILURES[start]
        if wrap:
            outer = RuntimeError("the flow failed")
            outer.__cause__ = error
            error = outer
        line = told(error)
        assert line is not None
        assert line.startswith(start)
        assert "\n" not in line
        assert WORD not in line


def test_a_defect_is_no_failure_of_the_surroundings() -> None:
    assert told(KeyError("neutral")) is None
    assert told(MlflowException("INVALID_PARAMETER_VALUE: a name")) is None
