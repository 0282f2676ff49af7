"""Batch prediction: from a file or folder of texts to a table of labels and probabilities."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from prefect import flow
from prefect.artifacts import create_table_artifact

from transferline.flows.support.batch_scoring import blank_lines, find_model, read_records, score
from transferline.flows.support.choices import TargetChoice
from transferline.flows.support.prediction_files import place_of, write_table
from transferline.flows.support.preflight import begin
from transferline.tasks.support.progress import console
from transferline.tasks.support.scope import artifact_key


@flow(name="predict", flow_run_name="predict {source} with {target}", validate_parameters=True)
def predict(
    target: TargetChoice,
    source: str,
    output: str = "predictions.parquet",
    *,
    text: str = "text",
    pair: str = "",
    version: str = "champion",
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> dict[str, str]:
    """Predict the label of every text in a file or folder with a registered model. Returns path, rows and model version.

    Rows keep their order. A row that the model cannot read stops the run, and the error names all such rows.

    Args:
        target: the target of the model, a name from params.yaml
        source: file or folder of texts (.csv, .tsv, .jsonl, .parquet, .txt)
        output: table to write, .parquet, .csv, .tsv or .jsonl. An existing file is replaced only if it is such a table
        text: column of the text
        pair: column of the second text, for models of text pairs
        version: alias or number of the registered version
        device: where to compute
    """
    begin()
    place = place_of(output, source)
    model = find_model(f"{target}@{version}")
    rows, records = read_records(source, model.form, text, pair, "Name its column by `--pair COLUMN`")
    # look=False: labels and probabilities only, without the features that `watch` needs
    scored = score(model, records, device, look=False)
    table = pd.DataFrame({"file": [r.file for r in rows], "row": [r.number for r in rows]})
    for name in ("text", "pair") if model.form.pair else ("text",):
        table[name] = [record[name] for record in records]
    table["label"] = scored.predicted
    for name, values in scored.columns().items():
        table[name] = values
    write_table(table, place)
    counts = table["label"].value_counts().head(50)  # generated texts can have any number of values
    summary = [{"label": label, "texts": int(n)} for label, n in counts.items()]
    create_table_artifact(
        summary, key=artifact_key("predict", target), description=f"{len(table)} texts by version {model.version}"
    )
    console.print(f"{len(table)} texts labelled by {target} version {model.version}: {place}")
    left_out = blank_lines(rows)
    if left_out:
        console.print(left_out)
    return {"output": str(place), "rows": str(len(table)), "version": model.version}
