"""Prefect made ready for a command: its temporary server up, its console quiet."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

_NEEDED = (
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "dvc.repo",
    "sklearn.metrics",
    "statsmodels.stats.contingency_tables",
    "pyarrow.parquet",
)

_TOLD = ("InputError", "SomeFailed")  # errors that the command itself tells


class _NoTraceOfInputErrors(logging.Filter):
    """Bad input is told once, by the command itself; a traceback through Prefect's engine helps nobody mend it."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        ours = kind is not None and kind.__name__ in _TOLD
        return not (ours or any(name in str(record.msg) or name in str(record.args) for name in _TOLD))


def make_ready() -> None:
    """What every command does right before its flow: quiet Prefect's console, and have its server up."""
    _quiet_console()
    _start_server()


def _start_server() -> None:
    """Where no server is declared, Prefect starts one of its own: let that happen while we import what every flow needs.

    Both take some seconds of one core. Whatever keeps the server from starting is raised here.
    """
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return
    from prefect.server.api.server import SubprocessASGIServer

    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(SubprocessASGIServer().start)
        for module in _NEEDED:
            import_module(module)
        started.result()


def _quiet_console() -> None:
    """Keep Prefect's console to warnings, and input errors out of it; its server still gets everything."""
    from prefect.logging.handlers import PrefectConsoleHandler

    for handler in logging.getLogger().handlers:  # Prefect sets its console up on the root logger
        if isinstance(handler, PrefectConsoleHandler):
            handler.setLevel(logging.WARNING)
            handler.addFilter(_NoTraceOfInputErrors())
