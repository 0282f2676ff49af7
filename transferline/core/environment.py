"""Default switches of the underlying libraries, set before they are imported. Values that the user set are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from transferline.core.hidden_credentials import hide_credentials
from transferline.core.project import root
from transferline.core.settings import settings, variable
from transferline.core.uris import without_credentials

_QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    # the first flow on a new database takes longer than Prefect's own 20 s on a small machine
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # a server that restarts is waited for: 2 + 4 + ... + 256 seconds
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    # a tracking server that is away is not waited for: entries are kept and sent later (tasks/support/outbox.py)
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


def prepare() -> None:
    """Set every switch that the user did not set, and keep passwords out of logs. TRANSFERLINE_OFFLINE=1 cuts off the Hub."""
    hide_credentials()
    logins_to_environment()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if settings().offline:
        os.environ.update(_OFFLINE)
    folder = root()
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str(folder / ".dvc" / "tmp" / "site"))
    os.environ.setdefault(variable("downloads"), str(folder / "data" / "downloads"))
    # child processes (Prefect's own server, DVC's stages) inherit this mark; see tasks/support/orphans.py
    os.environ[variable("parent")] = str(os.getpid())


def logins_to_environment() -> None:
    """Move the logins of server addresses to the variables that their clients read instead.

    The addresses are then safe to show, to log and to hand on. Databases keep theirs: they have no such variables.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith(("http://", "https://")):
        user, word = _login(uri)
        for name, value in (("MLFLOW_TRACKING_USERNAME", user), ("MLFLOW_TRACKING_PASSWORD", word)):
            if value:
                os.environ.setdefault(name, value)
        os.environ["MLFLOW_TRACKING_URI"] = without_credentials(uri)
    api = os.environ.get("PREFECT_API_URL", "")
    user, word = _login(api)
    if user or word:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", f"{user}:{word}")
        os.environ["PREFECT_API_URL"] = without_credentials(api)


def _login(uri: str) -> tuple[str, str]:
    try:
        parts = urlsplit(uri)
    except ValueError:  # no address at all: its own reader names the mistake
        return "", ""
    return unquote(parts.username or ""), unquote(parts.password or "")


def told_to_open_lineage() -> bool:
    """Whether a variable of OpenLineage's own says where its events go."""
    return any(name.startswith(("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__")) for name in os.environ)


@contextmanager
def variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables that a library reads for the length of a block (None: remove), and restore all of them afterwards."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


@contextmanager
def restored(*names: str) -> Iterator[None]:
    """Restore variables that a library writes during a block."""
    with variables({name: os.environ.get(name) for name in names}):
        yield


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
