"""Prepare Prefect for a command: start its temporary server and quieten its console."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

# slow imports that every flow needs; they run while the server starts
_NEEDED = (
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "dvc.repo",
    "sklearn.metrics",
    "statsmodels.stats.contingency_tables",
    "pyarrow.parquet",
)

_PRINTED = ("InputError", "SomeFailed", "Leaving")  # exceptions whose message the command prints itself


class _NoTraceOfInputErrors(logging.Filter):
    """Hide Prefect's tracebacks of input errors: the command prints the message, and the traceback does not help to fix it."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        ours = kind is not None and kind.__name__ in _PRINTED
        return not (ours or any(name in str(record.msg) or name in str(record.args) for name in _PRINTED))


def make_ready() -> None:
    """Quieten Prefect's console and start its temporary server. Every command calls this right before its flow."""
    _quiet_console()
    _start_server()


def _start_server() -> None:
    """Start Prefect's temporary server if no server is configured, and import the libraries of a flow meanwhile.

    The server takes about 5 s to start, mostly imports of another process. Our imports take 4 s. Errors of the start are
    raised here.
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
    """Show only warnings and errors of Prefect on the console, without input errors. The server still gets all records."""
    from prefect.logging.handlers import PrefectConsoleHandler

    for handler in logging.getLogger().handlers:  # Prefect attaches its console handler to the root logger
        if isinstance(handler, PrefectConsoleHandler):
            handler.setLevel(logging.WARNING)
            handler.addFilter(_NoTraceOfInputErrors())
