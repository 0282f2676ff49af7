"""Drift detection: compare a target's incoming unlabelled texts with its held-out texts, through its champion's features."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from prefect import flow
from prefect.artifacts import create_table_artifact

from transferline.core.errors import InputError
from transferline.data.input_form import inputs_of
from transferline.data.prepared_files import content_of, read_jsonl
from transferline.evaluation.drift import LEAST, Drift, measure_drift
from transferline.flows.support.batch_scoring import RegisteredModel, find_model, read_records, score
from transferline.flows.support.choices import TargetChoice
from transferline.flows.support.preflight import begin
from transferline.recipes.params import Params, project_params
from transferline.recipes.schedules import Watch
from transferline.tasks.support.data_versions import locked_data
from transferline.tasks.support.events import tell
from transferline.tasks.support.progress import console, log
from transferline.tasks.support.scope import artifact_key

StreamRow = TypeVar("StreamRow")
MOST = 1000  # texts per side: more cost time and hardly change the result


@flow(name="watch", flow_run_name="watch {target}", validate_parameters=True)
def watch(target: TargetChoice, stream: str = "", threshold: float = 0.0) -> dict[str, Any]:
    """Measure the drift of a target's incoming texts. Emits `transferline.drift` above the threshold.

    Args:
        target: a name from params.yaml
        stream: file or folder of texts (default: operations.<target>.watch.stream of params.yaml)
        threshold: proxy A-distance (0 to 2) above which drift is reported (0: the threshold of params.yaml)
    """
    begin()
    params = project_params()
    params.target(target)
    declared = params.operation(target).watch
    if not stream and declared is None:
        mend = "Name a file or folder, or declare operations.<target>.watch.stream"
        raise InputError(f"watch {target!r}", "no stream is declared", mend)
    how = declared or Watch(stream=stream)
    limit = threshold or how.threshold
    model = find_model(f"{target}@champion")
    mend = f"Name its column by operations.{target}.watch.pair in params.yaml"
    _, new = read_records(stream or how.stream, model.form, how.text, how.pair, mend)
    drift = _measure(target, model, new, params)
    alarm = drift.alarm(limit)
    text = (
        f"{target}: {'drift' if alarm else 'no drift'}; proxy A-distance {drift.distance:.2f} of {limit:g}, "
        f"{100 * drift.unseen:.0f} % unseen words, label shift {drift.label_shift:.2f}, {drift.stream} texts"
    )
    rows = [{"figure": name, "value": f"{value:.4g}"} for name, value in drift.flat().items()]
    create_table_artifact(rows, key=artifact_key("drift", target), description=text)
    console.print(text)
    log(text)
    if alarm:
        tell("drift", target, text, threshold=limit, **drift.flat())
        if how.retrain:
            tell("retrain.wanted", target, text)
    return {"alarm": alarm, **drift.flat()}


def _measure(target: str, model: RegisteredModel, stream: list[dict[str, Any]], params: Params) -> Drift:
    """Drift against the target's validation and test rows, which `prepare` has already brought into the input form.

    Training rows are no reference: a model's features of texts that it was trained on differ from those of new texts.
    Raises InputError if either side has too few texts.
    """
    data = locked_data(target, params)
    rows = _some([row for role in ("validation", "test") for row in read_jsonl(data[role].path)])
    held_out = [inputs_of(row) for row in rows]
    new = _some(stream)
    if min(len(held_out), len(new)) < LEAST:
        what = f"{len(held_out)} reference and {len(new)} new texts are too few to compare distributions"
        raise InputError(f"watch {target!r}", what, f"Provide at least {LEAST} of each")
    # one call for both sides, so that they are scored by the same model in the same way
    scored = score(model, [*held_out, *new])
    known, incoming = np.split(scored.features, [len(held_out)])
    before, now = scored.shares(slice(len(held_out))), scored.shares(slice(len(held_out), None))
    reference, texts = ([content_of(record["text"], record.get("pair")) for record in side] for side in (held_out, new))
    return measure_drift(reference, texts, (known, incoming), (before, now))


def _some(texts: list[StreamRow]) -> list[StreamRow]:
    """At most MOST of the texts, at equal distances over the whole list."""
    step = max(1, -(-len(texts) // MOST))
    return texts[::step]
