"""Cross-machine leases.

On one disk an flock is enough, and it ends with its holder. Machines that share a store by URI share no disk. They also
hold a lease of a Prefect concurrency limit. A lease that cannot be renewed expires and the run goes on: at worst one
checkpoint is built twice under the same key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from transferline.core.errors import InputError
from transferline.core.project import shared_uri
from transferline.core.settings import settings, variable
from transferline.tasks.support.locks import held
from transferline.tasks.support.progress import notice
from transferline.tasks.support.waiting import SAID_AFTER

LEASE = 60.0  # seconds; a killed holder blocks the others for at most this long


@contextmanager
def exclusive(name: str, everywhere: bool = False) -> Iterator[None]:
    """Hold `name` exclusively during the block, among all processes with this store (`everywhere`: with this server)."""
    with held(name):
        if not (everywhere or shared_uri()) or not settings().prefect_api_url:
            yield
            return
        from prefect.client.orchestration import get_client

        limit = f"transferline-{name}"
        # a limit of one slot is a lock; Prefect's `concurrency` needs it to exist
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(limit, 1)
        with ExitStack() as lease:
            _take(lease, limit)
            yield


def _take(lease: ExitStack, limit: str) -> None:
    hours, what = settings().wait_hours, f"the lease {limit!r}"
    try:
        lease.enter_context(_slot(limit, min(SAID_AFTER, 3600 * hours)))
        return
    except TimeoutError:
        notice("waiting", "yellow", f"for {what}, held by another run")
    try:
        lease.enter_context(_slot(limit, 3600 * hours))
    except TimeoutError as error:
        mend = f"See the concurrency limits in Prefect's UI, or raise {variable('wait_hours')}"
        raise InputError(what, f"is still held by another run after {hours:g} hours", mend) from error


def _slot(limit: str, seconds: float) -> AbstractContextManager[None]:
    """The one slot of a limit. Entering it raises TimeoutError if it is not free within `seconds`."""
    from prefect.concurrency.sync import concurrency

    return concurrency(
        limit,
        occupy=1,
        timeout_seconds=seconds,
        lease_duration=LEASE,
        strict=True,
        raise_on_lease_renewal_failure=False,
    )


def bucket(key: str) -> str:
    """Lease name of a key: one of 256, so that the server does not keep a concurrency limit per key for ever."""
    return f"build-{key[-2:]}"
