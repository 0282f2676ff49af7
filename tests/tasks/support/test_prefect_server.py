"""Prefect made ready for a command: which messages its console drops, and when a server is started."""

from __future__ import annotations

import logging
import sys

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.recording import Recorder
from transferline.core.errors import InputError
from transferline.tasks.support import prefect_server
from transferline.tasks.support.prefect_server import _NoTraceOfInputErrors, _start_server, make_ready


def entry(message: str, error: Exception | None = None) -> logging.LogRecord:
    info = None
    if error is not None:
        try:
            raise error
        except Exception:  # noqa: BLE001
            info = sys.exc_info()
    return logging.LogRecord("prefect", logging.ERROR, "file", 1, message, (), info)


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (entry("a warning"), True),
        (entry("failed", ValueError("x")), True),
        (entry("failed", InputError("a", "b", "c")), False),
        (entry("Finished in state Failed('InputError: a: b')"), False),
        (entry("SomeFailed: 1 of 2 targets failed"), False),
    ],
)
def test_input_errors_are_told_by_the_command_and_not_by_prefects_console(
    record: logging.LogRecord, shown: bool
) -> None:
    assert _NoTraceOfInputErrors().filter(record) == shown


def test_a_declared_server_is_used_and_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Recorder()
    monkeypatch.setattr("prefect.server.api.server.SubprocessASGIServer", started)
    with temporary_settings({PREFECT_API_URL: "http://server/api"}):
        _start_server()
    assert started.calls == []


def test_without_one_it_is_started_while_the_libraries_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        start = Recorder()

    monkeypatch.setattr("prefect.server.api.server.SubprocessASGIServer", Server)
    monkeypatch.setattr(prefect_server, "_NEEDED", ("json",))
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        _start_server()
    assert len(Server.start.calls) == 1


def test_a_server_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        def start(self) -> None:
            raise RuntimeError("no port")

    monkeypatch.setattr("prefect.server.api.server.SubprocessASGIServer", Server)
    monkeypatch.setattr(prefect_server, "_NEEDED", ())
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(RuntimeError, match="no port"):
        make_ready()
