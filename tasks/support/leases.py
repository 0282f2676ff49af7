"""What must not happen twice at once, on however many machines.

On one disk an flock is enough and dies with its holder. Machines that share no disk (a store by URI) share a Prefect
server: there a leased slot is held as well. A lease that can no longer be renewed ends by itself, and does not end the run:
the worst that follows is that one checkpoint is built twice, under one key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transferline.core.project import shared_uri
from transferline.core.settings import settings
from transferline.tasks.support.locks import held

LEASE = 60.0  # seconds; a holder that was killed blocks the others no longer than this


@contextmanager
def exclusive(name: str, everywhere: bool = False) -> Iterator[None]:
    """Hold `name` alone for the length of a block, among all processes that share the store (`everywhere`: the server)."""
    with held(name):
        if not (everywhere or shared_uri()) or not settings().prefect_api_url:
            yield
            return
        from prefect.client.orchestration import get_client
        from prefect.concurrency.sync import concurrency

        limit = f"transferline-{name}"
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(limit, 1)
        with concurrency(limit, occupy=1, lease_duration=LEASE, strict=True, raise_on_lease_renewal_failure=False):
            yield


def bucket(key: str) -> str:
    """One of 256 names for the building of a key, so that a server does not collect a limit for every key ever."""
    return f"build-{key[-2:]}"
