"""Drift of an incoming, unlabelled stream against what a target's champion was made for; an event above the threshold."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from prefect import flow
from prefect.artifacts import create_table_artifact
from slugify import slugify

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.data.prepared_files import read_jsonl
from transferline.evaluation.drift import LEAST, Drift, measure_drift
from transferline.flows.support.batch_scoring import read_texts, score
from transferline.flows.support.choices import Target
from transferline.flows.support.preflight import begin
from transferline.recipes.params import Params, Watch, load_params
from transferline.tasks.support.data_versions import locked_data
from transferline.tasks.support.events import tell
from transferline.tasks.support.progress import console, log

Row = TypeVar("Row")
MOST = 1000  # texts of either side that are looked at: beyond, nothing changes but the time


@flow(name="watch", flow_run_name="watch {target}", validate_parameters=True)
def watch(target: Target, stream: str = "", threshold: float = 0.0) -> dict[str, Any]:
    """Measure the drift of a target's stream; emits `transferline.drift` above the threshold.

    Args:
        target: whose stream to look at
        stream: file or folder of texts; empty: as operations.<target>.watch says
        threshold: proxy A-distance, 0 to 2, that raises the alarm; 0: as params.yaml says
    """
    begin()
    params = load_params(root() / "params.yaml")
    params.target(target)
    declared = params.operation(target).watch
    if not stream and declared is None:
        mend = "Name a file or folder, or declare operations.<target>.watch.stream"
        raise InputError(f"watch {target!r}", "no stream is declared", mend)
    how = declared or Watch(stream=stream)
    limit = threshold or how.threshold
    _, texts = read_texts(stream or how.stream, how.text)
    drift = _measure(target, texts, params)
    alarm = drift.alarm(limit)
    text = (
        f"{target}: {'drift' if alarm else 'no drift'}; proxy A-distance {drift.distance:.2f} of {limit:g}, "
        f"{100 * drift.unseen:.0f} % unseen words, label shift {drift.label_shift:.2f}, {drift.stream} texts"
    )
    rows = [{"figure": name, "value": f"{value:.4g}"} for name, value in drift.flat().items()]
    create_table_artifact(rows, key=f"drift-{slugify(target)}", description=text)
    console.print(text)
    log(text)
    if alarm:
        tell("drift", target, text, threshold=limit, **drift.flat())
        if how.retrain:
            tell("retrain.wanted", target, text)
    return {"alarm": alarm, **drift.flat()}


def _measure(target: str, texts: list[str], params: Params) -> Drift:
    """Drift against the target's held-out rows: on those it has learnt from, a model's features lie elsewhere."""
    data = locked_data(target, params)
    rows = _some([row for role in ("validation", "test") for row in read_jsonl(data[role].path)])
    held_out = [row["text"] for row in rows]
    new = _some(texts)
    if min(len(held_out), len(new)) < LEAST:
        what = f"{len(held_out)} reference and {len(new)} new texts say nothing about a distribution"
        raise InputError(f"watch {target!r}", what, f"Gather at least {LEAST} of each")
    _, scored = score(f"{target}@champion", [*held_out, *new])
    known, incoming = np.split(scored.features, [len(held_out)])
    before, now = scored.shares(slice(len(held_out))), scored.shares(slice(len(held_out), None))
    return measure_drift(held_out, new, (known, incoming), (before, now))


def _some(texts: list[Row]) -> list[Row]:
    """At most MOST of the texts, spread over all of them."""
    step = max(1, -(-len(texts) // MOST))
    return texts[::step]
