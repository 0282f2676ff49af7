"""Serve a registered version over HTTP: MLflow's scoring server behind a guard (request_guard.py)."""

from __future__ import annotations

from typing import Any

from transferline.tasks.support.bind_addresses import check_free, in_url
from transferline.tasks.support.request_guard import RequestGuard
from transferline.tasks.support.signatures import load_checked


def guarded(model: Any, largest: int) -> RequestGuard:
    """The ASGI application that answers requests of at most `largest` bytes to a loaded pyfunc model."""
    from mlflow.pyfunc import scoring_server

    return RequestGuard(scoring_server.init(model), largest)


def serve_version(version: Any, host: str, port: int, largest: int) -> None:
    """Load a registered version and serve it until Ctrl-C.

    Raises InputError if the address cannot be bound, and on a wrong signature.
    """
    import uvicorn

    check_free(host, port, "the model's server", option="--port")
    model = load_checked(version)
    print(f"{version.name} version {version.version}: http://{in_url(host)}:{port}/invocations", flush=True)
    uvicorn.run(guarded(model, largest), host=host, port=port, log_level="warning")
