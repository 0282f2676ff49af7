"""Every method states the FLOPs of its steps: the meter counts at most the stated bound, and at least half of it.

Methods are taken from the registry. Each is built with its default settings, fewer epochs and less text, on the first tiny base
that has the ability it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bases import FAMILIES, write_tiny
from tests.kinds import SPECS, build, write_rows
from tests.matrices import blobs, prepare_matrix
from transferline.core.cost import metered
from transferline.core.flops import Backward, Lengths, Size
from transferline.core.problem import Ability, TargetKind
from transferline.core.stage import Stage, name_of
from transferline.data.declarations import Share, TargetSpec
from transferline.data.prepare import prepare
from transferline.inference.prediction import Predict
from transferline.methods.controls.majority import Majority
from transferline.methods.controls.scratch import Scratch
from transferline.methods.controls.tfidf import Tfidf
from transferline.methods.label_budget import Labels
from transferline.methods.parameter.full import Full
from transferline.models.families import Family
from transferline.models.random_init import FeaturesBase
from transferline.recipes.chain import Step
from transferline.recipes.registry import ADAPTING, INSTANCES, TUNING
from transferline.tournament.forecast import Forecast

METHODS: dict[str, type[Stage]] = {**ADAPTING, **INSTANCES, **TUNING}
METHODS |= {name_of(stage): stage for stage in (Scratch, Tfidf, Majority, Labels)}
LAYERS = 4  # as many as the default settings of all methods need
BASES: dict[str, dict[str, Any]] = {
    "bert": {"num_hidden_layers": LAYERS, "max_position_embeddings": 256},
    "gpt2": {"n_layer": LAYERS, "n_positions": 256},
    "xlnet": {"n_layer": LAYERS},
}
BUDGET = 20_000  # tokens of an objective
EPOCHS = 3  # equal to the patience, so that no run stops early
WIDTH = 12  # columns of a matrix
Files = dict[str, Path]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flops")


@pytest.fixture(scope="module")
def files(root: Path) -> Callable[[TargetKind | None], Files]:
    """Prepared splits of a target of a kind (None: a matrix), of a source task of the same kind, and a corpus."""
    made: dict[TargetKind | None, Files] = {}

    def get(kind: TargetKind | None) -> Files:
        if kind not in made:
            folder = root / f"data {kind}"
            folder.mkdir()
            own, source = (_prepared(kind, folder, name, seed) for seed, name in enumerate(("own", "source")))
            write_rows(folder / "corpus.jsonl", 400, seed=3)
            more = {f"source/{split}": path for split, path in source.items()}
            made[kind] = {**own, **more, "corpus": folder / "corpus.jsonl"}
        return made[kind]

    return get


def _prepared(kind: TargetKind | None, folder: Path, name: str, seed: int) -> Files:
    if kind is None:
        return prepare_matrix(folder, name, *blobs(200, WIDTH, 3, seed))
    write_rows(folder / f"{name}.jsonl", 300, seed)
    share = Share(test=0.3, validation=0.2)
    prepare(name, TargetSpec(domain="d", data=f"{name}.jsonl", split=share, **SPECS[kind]), folder, folder / name)
    return {split: folder / name / f"{split}.jsonl" for split in ("train", "validation", "test")}


@pytest.fixture(scope="module")
def base_for(root: Path) -> Callable[[Ability | None], Path]:
    """The first tiny base with an ability."""

    def get(ability: Ability | None) -> Path:
        family = next((name for name in BASES if not ability or Family(name).can(ability)), "features")
        folder = root / family
        if not folder.exists() and family == "features":
            build(FeaturesBase(method="features", width=WIDTH), {}, root / "rows", Path())[0].rename(folder)
        elif not folder.exists():
            write_tiny(family, folder, more=BASES[family])
        return folder

    return get


def short(method: type[Stage]) -> Stage:
    """A method with its default settings, but few epochs, few tokens and one source task."""
    fields = method.model_fields
    brief = {"epochs": EPOCHS, "patience": EPOCHS}
    changes: dict[str, Any] = {
        "source_task": "source",
        "source_tasks": ("source",),
        **brief,
        "tune": brief,
        "count": 40,
    }
    if "tokens" in fields and fields["tokens"].default > BUDGET:
        changes["tokens"] = BUDGET
    return method.model_validate({name: value for name, value in changes.items() if name in fields})


def measured(stage: Stage, files: Files, base: Path, folder: Path) -> tuple[float, float, Path]:
    """FLOPs that the meter counts while a stage is built, the stated bound, and the folder of the result."""
    steps, parents = {}, {"base": base}
    data = (
        tuple((role, role) for role in stage.roles() if role in files)
        if stage.kind != "predict"
        else (("test", "test"),)
    )
    for name, helper in stage.helpers().items():
        steps[name] = Step("tune", helper, ("base",), tuple((role, role) for role in helper.roles()))
        parents[name] = build(helper, files, folder / name, base)[0]
    step = Step(stage.kind, stage, tuple(parents), data)
    bound = Forecast({"base": base}, files, steps).flops(step, "base", "validation")
    with metered() as meter:
        out, _ = build(stage, files, folder / "built", *parents.values())
    return meter.flops, bound, out


@pytest.mark.parametrize("name", METHODS)
def test_the_bound_holds_and_is_at_most_twice_the_cost(name: str, files, base_for, tmp_path: Path) -> None:
    method = METHODS[name]
    base = base_for(method.ability)
    data = files(None if base.name == "features" else method.tasks[0])
    counted, bound, _ = measured(short(method), data, base, tmp_path)
    assert bound / 2 <= counted <= bound


def test_the_bound_of_a_prediction_holds_for_the_model_that_a_method_leaves(files, base_for, tmp_path: Path) -> None:
    data, base = files("single-label"), base_for(None)
    tune = short(Full)
    model = measured(tune, data, base, tmp_path / "full")[2]
    step = Step("predict", Predict(), ("model",), (("test", "test"),))
    steps = {"model": Step("tune", tune, ("base",), (("train", "train"), ("validation", "validation")))}
    bound = Forecast({"base": base}, data, steps).flops(step, "base", "validation")
    with metered() as meter:
        build(Predict(), data, tmp_path / "predict", model)
    assert bound / 2 <= meter.flops <= bound


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_of_full_fine_tuning_holds_on_every_family(family: str, files, root: Path, tmp_path: Path) -> None:
    """Families differ in their attention, and in how often a weight is used."""
    base = write_tiny(family, tmp_path / "base")
    mean = family in ("bert", "roberta", "electra", "xlnet", "modernbert")
    stage = short(Full).model_copy(update={"pooling": "mean" if mean else "first"})
    counted, bound, _ = measured(stage, files("single-label"), base, tmp_path)
    assert bound / 2 <= counted <= bound


def test_a_forward_pass_is_two_a_weight_and_attention_grows_with_the_text() -> None:
    size = Size(weights=100.0, layers=2.0, width=4.0, vocabulary=10.0)
    one = Lengths(np.array([10.0]))
    assert size.forward(one) == 10 * (200 + 4 * 8 * 10)
    assert size.forward(Lengths.alike(3, 10)) == 3 * size.forward(one)
    assert size.head(1) == 2 * 4 * (10 + 4)


def test_a_training_step_is_three_forward_passes_and_a_frozen_one_is_one() -> None:
    size, texts = Size(weights=100.0, layers=2.0, width=4.0), Lengths.alike(3, 10)
    assert size.step(texts) == 3 * size.forward(texts)
    assert size.step(texts, Backward(0, 0)) == size.forward(texts)


def test_random_batches_are_padded_to_their_expected_longest_text() -> None:
    texts = Lengths(np.array([1.0, 2.0, 3.0, 10.0]))
    assert texts.padded(1).tokens == pytest.approx(texts.tokens)
    drawn = np.random.default_rng(0).choice(texts.lengths, (20_000, 3)).max(axis=1).mean()
    assert texts.padded(3).lengths[0] == pytest.approx(drawn, rel=0.02)
