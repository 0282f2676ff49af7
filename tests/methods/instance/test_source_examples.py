"""Laws of borrowed examples: what is written, and that every method of tuning meets the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import build, write_rows
from tests.methods.parameter.laws import method
from transferline.core.errors import InputError
from transferline.core.problem import Setting
from transferline.data.declarations import TargetSpec
from transferline.data.prepared_files import read_jsonl, write_jsonl
from transferline.methods.instance.source_examples import effective
from transferline.methods.label_budget import FILE
from transferline.models.weights import read_tensors
from transferline.recipes.chain import Pin, plan
from transferline.recipes.recipe import Recipe
from transferline.recipes.registry import INSTANCES, TUNING
from transferline.targets import target_of
from transferline.targets.example_weights import WEIGHT, weights_of

ALL = {"pooled": {}, "similar": {"k": 2}, "density-ratio": {}, "tradaboost": {"rounds": 4}}


@pytest.fixture(scope="module")
def source_rows(kinds, tmp_path_factory) -> dict[str, Path]:
    """A single-label target that may borrow from another one, "plays"."""
    folder = tmp_path_factory.mktemp("lent")
    rows = [{**row, "slices": {"year": str(i % 3)}} for i, row in enumerate(read_jsonl(kinds["single-label"]["train"]))]
    write_jsonl(folder / "train.jsonl", rows[:60])
    return {**kinds["single-label"], "plays/train": folder / "train.jsonl"}


@pytest.mark.parametrize("name", ALL)
def test_the_targets_own_rows_come_first_and_weigh_one(name: str, source_rows, tiny: Path, tmp_path: Path) -> None:
    stage = INSTANCES[name].model_validate({"source_tasks": ["plays"], **ALL[name]})
    assert stage.roles() == ("train", "plays/train")
    out, figures = build(stage, source_rows, tmp_path / "t", tiny)
    rows, own = read_jsonl(out / FILE), read_jsonl(source_rows["train"])
    assert [row["id"] for row in rows[: len(own)]] == [row["id"] for row in own]
    assert {row[WEIGHT] for row in rows[: len(own)]} == {1.0}
    assert len(rows) == len(own) + figures["borrowed"]
    assert figures["of"] == 60
    assert all(row[WEIGHT] > 0 for row in rows)


def test_a_slice_is_all_that_is_taken(source_rows, tiny: Path, tmp_path: Path) -> None:
    stage = INSTANCES["similar"].model_validate({"source_tasks": ["plays"], "k": None, "slices": {"year": ["1"]}})
    out, figures = build(stage, source_rows, tmp_path / "t", tiny)
    taken = read_jsonl(out / FILE)[int(figures["own"]) :]
    assert len(taken) == 20
    assert {row["slices"]["year"] for row in taken} == {"1"}
    for wrong, said in (({"month": ["1"]}, "no slice 'month'"), ({"year": ["9"]}, "no row of plays")):
        stage = INSTANCES["similar"].model_validate({"source_tasks": ["plays"], "k": None, "slices": wrong})
        with pytest.raises(InputError, match=said):
            build(stage, source_rows, tmp_path / said, tiny)


def test_examples_of_another_kind_are_refused(source_rows, kinds, tiny: Path, tmp_path: Path) -> None:
    data = {**source_rows, "plays/train": kinds["regression"]["train"]}
    with pytest.raises(InputError, match="other kinds"):
        build(INSTANCES["pooled"].model_validate({"source_tasks": ["plays"]}), data, tmp_path / "t", tiny)


def test_effective_size_is_the_number_of_equal_weights() -> None:
    assert effective(np.full(50, 0.3)) == pytest.approx(50)
    assert effective(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)


def weighed(source: Path, out: Path, weights: list[float]) -> Path:
    write_jsonl(out, ({**row, WEIGHT: weight} for row, weight in zip(read_jsonl(source), weights, strict=True)))
    return out


def test_equal_weights_are_none_and_others_have_mean_one() -> None:
    assert weights_of([{}, {}]) is None
    assert weights_of([{WEIGHT: 3.0}, {WEIGHT: 3.0}]) is None
    found = weights_of([{WEIGHT: 3.0}, {WEIGHT: 1.0}])
    assert found is not None
    assert found.tolist() == [1.5, 0.5]


@pytest.mark.parametrize("kind", ["single-label", "pairs", "multi-label", "regression", "tokens", "generation"])
def test_unit_weights_leave_every_kinds_loss_as_it_is(kind: str, kinds, bases, tmp_path: Path) -> None:
    """The weighted loss with ones is the model's own."""
    from transferline.models.tokenization import TokenizerSettings
    from transferline.targets.example_weights import supervised

    for family in ("gpt2", "t5") if kind == "generation" else ("bert",):
        target = target_of(kinds[kind]["train"])
        model = target.load(bases(family), "mean" if family == "bert" else "first", 0).eval()
        from transferline.methods.parameter.tuning import open_tokenizer

        reading = TokenizerSettings(24, "head", 6)
        examples = target.examples(kinds[kind]["train"], open_tokenizer(target, bases(family), reading), reading)
        batch = target.labelled(examples, range(8))
        with torch.no_grad():
            plain, _ = supervised(model, dict(batch))
            ones, _ = supervised(model, {**batch, WEIGHT: torch.ones(8)})
        assert float(ones) == pytest.approx(float(plain), rel=1e-5), family


SINGLE = [name for name in sorted(TUNING) if "source_tasks" not in TUNING[name].model_fields]


@pytest.mark.parametrize("name", [name for name in SINGLE if name not in ("extraction", "auxiliary")])
def test_an_example_without_weight_teaches_no_method_anything(name: str, kinds, tiny: Path, tmp_path: Path) -> None:
    """Rows of weight next to nothing may carry any label: the solution does not change (and without weights it would)."""
    data = kinds["single-label"]
    rows = read_jsonl(data["train"])
    half = len(rows) // 2
    wrong = [{**row, "label": "bad" if row["label"] == "good" else "good"} for row in rows]
    weights = [1.0] * half + [1e-9] * (len(rows) - half)
    write_jsonl(tmp_path / "honest.jsonl", rows)
    write_jsonl(tmp_path / "lying.jsonl", [*rows[:half], *wrong[half:]])
    built = []
    for which in ("honest", "lying"):
        train = weighed(tmp_path / f"{which}.jsonl", tmp_path / f"{which}-weighed.jsonl", weights)
        parents = (tiny,)
        if name == "distill":
            teacher, _ = build(method("full", epochs=1), data, tmp_path / f"teacher {which}", tiny)
            parents = (tiny, teacher)
        quick = method(name, epochs=1, **({"teacher": {"epochs": 1}, "layers": 1} if name == "distill" else {}))
        out, _ = build(quick, {**data, "train": train}, tmp_path / which, *parents)
        built.append(read_tensors(out))
    assert built[0].keys() == built[1].keys()
    for key, tensor in built[0].items():
        assert torch.allclose(tensor, built[1][key], atol=5e-3), key


def recipe(**parts: object) -> Recipe:
    return Recipe.model_validate({"base": "b", "tune": {"method": "full"}, **parts})


def test_the_plan_hands_borrowed_examples_to_the_tuning_and_not_to_the_controls() -> None:
    from transferline.models.bases import FolderBase

    roles = ("train", "validation", "test", "corpus", "plays/train")
    data = {role: Pin(Path(f"{role}.jsonl"), f"md5 of {role}") for role in roles}
    spec = TargetSpec(domain="d", data="x")
    base = FolderBase(method="folder", path="b", sha256="0" * 64)
    with_sources = recipe(instances={"method": "pooled", "source_tasks": ["plays"]})
    settings = {"plays": Setting.DOMAIN_ADAPTATION}
    chain = plan("t", spec, "r", with_sources, base, data, settings=settings)
    [source_examples] = [step for step in chain if step.role == "borrowed examples"]
    for role, keys in chain.roles.items():
        for key in keys:
            step = chain.step(key)
            reads = dict(step.data)["train"]
            assert (reads == source_examples.key) == (role == "challenger"), role
            assert (source_examples.key in step.parents) == (role == "challenger"), role
    plain = plan("t", spec, "r", recipe(), base, data)
    assert chain.roles["unadapted"] == plain.roles["challenger"]
    for setting, said in ((Setting.INDUCTIVE, "same labels"), (Setting.UNKNOWN, "nothing is known")):
        with pytest.raises(InputError, match=said):
            plan("t", spec, "r", with_sources, base, data, settings={"plays": setting})
    with pytest.raises(InputError, match="plays/train is not among the data"):
        plan("t", spec, "r", with_sources, base, {k: v for k, v in data.items() if "/" not in k}, settings=settings)


def test_rows_for_other_tests_stay_what_they_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", 10)
    assert weights_of(read_jsonl(tmp_path / "rows.jsonl")) is None
