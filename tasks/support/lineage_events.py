"""OpenLineage events of a retrain (the extra `lineage`): which data went in, and which model versions came out.

They are sent where OpenLineage's own variables say (OPENLINEAGE_URL, OPENLINEAGE_CONFIG, OPENLINEAGE__...). Without one of
them nothing is sent. A server that is away never stops a run: the run says so in one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from transferline.core.environment import told_to_open_lineage
from transferline.core.errors import InputError
from transferline.core.uris import without_credentials
from transferline.recipes.chain import Data
from transferline.tasks.registering import Registration
from transferline.tasks.support.progress import notice
from transferline.tasks.support.scope import owner
from transferline.tasks.support.tracking import tracking_uri

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient

PRODUCER = "https://pypi.org/project/transferline"


@dataclass
class RunProduct:
    """What a run made, filled in by the run itself: None until it has registered its models."""

    registration: Registration | None = None


@contextmanager
def lineage_events(job: str, data: Data) -> Iterator[RunProduct]:
    """Send START before the block, and COMPLETE or FAIL after it. The block fills in the product.

    Raises InputError before anything is computed if events are asked for and the extra is not installed.
    """
    client, run, product = _client(), str(uuid4()), RunProduct()
    if client is None:
        yield product
        return
    _send(client, _event("START", job, run, data, product))
    try:
        yield product
    except BaseException as error:
        _send(client, _event("FAIL", job, run, data, product, without_credentials(f"{type(error).__name__}: {error}")))
        raise
    _send(client, _event("COMPLETE", job, run, data, product))


def _client() -> OpenLineageClient | None:
    if not told_to_open_lineage():
        return None
    try:
        from openlineage.client import OpenLineageClient
    except ImportError as error:
        mend = "pip install 'transferline[lineage]', or unset it"
        raise InputError("OPENLINEAGE_URL", "openlineage-python is not installed", mend) from error
    return OpenLineageClient()


def _event(kind: str, job: str, run: str, data: Data, product: RunProduct, error: str = "") -> Any:
    from openlineage.client import event_v2 as events
    from openlineage.client.facet_v2 import error_message_run

    made = product.registration or Registration("", {})
    failed: dict[str, Any] = {"errorMessage": error_message_run.ErrorMessageRunFacet(error, "python")} if error else {}
    return events.RunEvent(
        eventType=events.RunState[kind],
        eventTime=datetime.now(UTC).isoformat(),
        run=events.Run(runId=run, facets=failed),
        job=events.Job(namespace=owner(), name=job),
        inputs=[
            events.InputDataset(f"file://{os.uname().nodename}", str(pin.path.absolute()), facets=_version(pin.md5))
            for _, pin in sorted(data.items())
        ],
        outputs=[
            events.OutputDataset(without_credentials(tracking_uri()), f"models:/{made.model}", facets=_version(version))
            for version in sorted(set(made.versions.values()))
        ],
        producer=PRODUCER,
    )


def _version(name: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(name)}


def _send(client: OpenLineageClient, event: Any) -> None:
    try:
        client.emit(event)
    except Exception as error:  # noqa: BLE001 - every transport raises its own errors; none may stop a run
        notice("lineage", "yellow", f"OpenLineage got no event: {type(error).__name__}: {error}")
