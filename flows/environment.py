"""Switches of the libraries underneath, set before any of them is imported; what the user has set stays."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from tasks.project import root

_QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    # the first flow on a new database takes longer than Prefect's own 20 s on a small machine
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # a server that restarts is waited for: 2 + 4 + ... + 256 seconds
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    # a tracking server that is away is not waited for: entries are kept and sent later (tasks/outbox.py)
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


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


def prepare() -> None:
    """Set every switch that the user did not; with TRANSFERLINE_OFFLINE=1 the hub is never asked."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if os.environ.get("TRANSFERLINE_OFFLINE", "0") not in ("", "0", "false"):
        os.environ.update(_OFFLINE)
    folder = root()
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str(folder / ".dvc" / "tmp" / "site"))
    os.environ.setdefault("TRANSFERLINE_DOWNLOADS", str(folder / "data" / "downloads"))
    # whatever this process starts (Prefect's own server, DVC's stages) is known by this mark; see tasks/orphans.py
    os.environ["TRANSFERLINE_PARENT"] = str(os.getpid())
