"""Audit a recipe's model: forgetting of source tasks, and bias between groups of people.

transferline audit film-sentiment
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from prefect import flow
from prefect.artifacts import create_markdown_artifact

from transferline.core.markup import in_markdown
from transferline.core.project import root, store
from transferline.core.runtime import Runtime
from transferline.data.input_form import InputForm
from transferline.data.prepared_files import write_json
from transferline.evaluation.bias import Bias, Pair, measure_bias, read_pairs
from transferline.evaluation.markdown import table
from transferline.flows.support.chain_building import build_chain
from transferline.flows.support.choices import OWN, RecipeChoice, TargetChoice, recipe_of
from transferline.flows.support.planning import open_line
from transferline.flows.support.preflight import begin
from transferline.inference.forgetting import Forgotten, measure_forgetting
from transferline.inference.text_scoring import Scorer
from transferline.recipes.chain import Chain, Data
from transferline.recipes.params import Params
from transferline.targets import TARGETS
from transferline.targets.sequence import SequenceTarget
from transferline.tasks.placing import open_runner
from transferline.tasks.support.progress import console, log
from transferline.tasks.support.scope import artifact_key
from transferline.tasks.support.tracking import TransferRun
from transferline.tasks.versioning import pin_data, reproduce

FOLDER = "audits"
ROLES = {"before": "unadapted", "after": "challenger"}  # the two models whose bias is compared


@flow(name="audit", flow_run_name="audit {target}", validate_parameters=True)
def audit(
    target: TargetChoice,
    recipe: RecipeChoice = OWN,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> dict[str, str]:
    """Measure forgetting and bias of a recipe's model, compared with the unadapted control. It never blocks a promotion.

    Args:
        target: a name from params.yaml
        recipe: a recipe of params.yaml. `own` is the target's default, `auto` the choice of the last comparison
        device: where to compute
        precision: precision of training, if models are still to be built
    """
    begin()
    line = open_line(target, recipe_of(recipe), None, device, precision)
    source_tasks = line.params.source_tasks(target, alike=True)
    data = pin_data(target, line.params, list(dict.fromkeys([*line.source_tasks(), *source_tasks])))
    line = line.settled(data)
    chain = line.plan(data)
    with open_runner(line.runtime) as runner, TransferRun(target, chain.recipe, line.seeds, f"{target} audit") as run:
        build_chain(line, chain, data, run, runner)
        runtime = line.runtime.resolve()
        forgotten = ask_sources(chain, data, source_tasks, runtime)
        biases = ask_pairs(chain, line.params, InputForm.of(line.spec), runtime)
        text = markdown(target, chain.recipe, forgotten, biases)
        folder = root() / "data" / FOLDER / target / chain.recipe
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "audit.md").write_text(text, encoding="utf-8")
        write_json(folder / "audit.json", {"forgotten": _plain(forgotten), "bias": _plain(biases)})
        run.tag({"mlflow.note.content": text, "transferline.kind": "audit"})
    create_markdown_artifact(
        text, key=artifact_key("audit", target), description=f"{target}: forgetting and bias of recipe {chain.recipe}"
    )
    log(text)
    console.print(text)
    return {"folder": str(folder), "run": run.run_id}


def ask_sources(chain: Chain, data: Data, source_tasks: Sequence[str], runtime: Runtime) -> dict[str, Forgotten]:
    """Forgetting of each source task: a probe on the challenger's encoder against a probe on the base."""
    # the first seed: a description needs one model, not all of them
    base, model = store() / chain.steps[0].key, store() / chain.roles["challenger"][0]
    found = {}
    for name in source_tasks:
        train, held_out = (data[f"{name}/{split}"].path for split in ("train", "validation"))
        forgotten = measure_forgetting(train, held_out, base, model, runtime)
        if forgotten is not None:
            found[name] = forgotten
    return found


def ask_pairs(chain: Chain, params: Params, form: InputForm, runtime: Runtime) -> dict[str, dict[str, dict[str, Bias]]]:
    """Bias by audit, model (`before`, `after`) and kind of pair. Empty for targets without one output per single text."""
    found: dict[str, dict[str, dict[str, Bias]]] = {}
    # a model of pairs or of feature matrices cannot read a single sentence
    applies = issubclass(TARGETS[form.task], SequenceTarget) and not form.pair and form.features is None
    for name, spec in params.audits.items() if applies else ():
        # a public data set is fetched by DVC; a file of the user's is read where it is
        source = Path(spec.data).name
        if source in params.sources:
            reproduce([f"fetch@{source}"])
        pairs = read_pairs(spec, root(), form)
        found[name] = {
            when: measure_bias(pairs, *answers_of(store() / chain.roles[role][0], pairs, runtime))
            for when, role in ROLES.items()
        }
    return found


def answers_of(model: Path, pairs: Sequence[Pair], runtime: Runtime) -> list[np.ndarray]:
    """Outputs of a model for both sides of the pairs, computed as a served model computes them."""
    scorer = Scorer(model, runtime)
    sides = ([{"text": getattr(pair, side)} for pair in pairs] for side in ("first", "second"))
    return [scorer.score(records, look=False).outputs for records in sides]


def markdown(target: str, recipe: str, forgotten: Mapping[str, Forgotten], biases: Mapping[str, Any]) -> str:
    """The report of both audits, in markdown."""
    lines = [f"## {target}, recipe {recipe}: forgetting and bias", ""]
    rows = [[name, f"{one.before:.3f}", f"{one.after:.3f}", one.change.signed()] for name, one in forgotten.items()]
    heads = ["source task", "probe on the base", "probe on this model", "change"]
    lines += [table(heads, rows) if rows else "This target has no source task, so forgetting is not measured.", ""]
    about = "Mean absolute change of the output between the two sentences of a pair, with 95 % intervals."
    for name, sides in biases.items():
        lines += [f"### Paired sentences: {name}", "", about, "", _paired(sides["before"], sides["after"]), ""]
    if not biases:
        lines += ["No audit is declared (`audits` in params.yaml), or none applies to this kind of target.", ""]
    return "\n".join(lines)


def _paired(before: Mapping[str, Bias], after: Mapping[str, Bias]) -> str:
    rows = []
    for kind, with_transfer in after.items():
        without = before[kind]
        figures = without.shift, with_transfer.shift, without.flips, with_transfer.flips
        rows.append([in_markdown(kind), str(with_transfer.pairs), *map(str, figures), with_transfer.direction.signed()])
    sides = [f"{what}, {how} transfer" for what in ("change", "flips") for how in ("without", "with")]
    return table(["groups", "pairs", *sides, "direction, with transfer"], rows)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return {key: _plain(one) for key, one in vars(value).items()} if hasattr(value, "__dict__") else value
