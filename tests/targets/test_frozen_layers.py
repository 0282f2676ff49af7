"""Laws of frozen layers whose outputs are kept: the same model, computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.kinds import CPU, score
from tests.methods.parameter.laws import Base, method, setting
from transferline.core.cost import metered
from transferline.core.stage import Progress, Work
from transferline.data.prepared_files import read_jsonl, write_jsonl
from transferline.models.weights import read_tensors
from transferline.targets.frozen_layers import FrozenPrefix


def built(
    data, base: Path, folder: Path, cache: Path | None, seed: int = 0, **changes
) -> tuple[Path, dict[str, float]]:
    """(checkpoint, cost) of frozen layers tuned with a shelf, or without one."""
    out = folder / "out"
    out.mkdir(parents=True)
    work = Work(data, seed, out, folder / "state", CPU, lambda _: None, base, "t", (base,), cache)
    with metered() as meter:
        method("freeze", **{"lowest": 1, **changes}).build(work)
    return out, meter.spent()


@pytest.fixture
def filled(monkeypatch) -> list[int]:
    """How many examples each filling of a shelf had to compute."""
    counts: list[int] = []
    run = FrozenPrefix._run

    def counting(self, examples, wanted):
        counts.append(len(wanted))
        return run(self, examples, wanted)

    monkeypatch.setattr(FrozenPrefix, "_run", counting)
    return counts


@pytest.mark.parametrize("lowest", [0, 1, 2])
@pytest.mark.parametrize("kind", ["single-label", "pairs", "regression", "multi-label"])
def test_kept_outputs_train_the_same_model(kind: str, lowest: int, kinds, tiny: Path, tmp_path: Path) -> None:
    kept, _ = built(kinds[kind], tiny, tmp_path / "kept", tmp_path / "cache", lowest=lowest, epochs=2)
    plain, _ = built(kinds[kind], tiny, tmp_path / "plain", None, lowest=lowest, epochs=2)
    one, two = read_tensors(kept), read_tensors(plain)
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=2e-4) for name in one)


@pytest.mark.parametrize("family", ["roberta", "electra"])
def test_other_families_keep_theirs(family: str, kinds, bases: Base, tmp_path: Path, filled: list[int]) -> None:
    data = kinds["single-label"]
    out, _ = built(data, bases(family), tmp_path / "kept", tmp_path / "cache", epochs=6)
    assert filled
    assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.7


@pytest.mark.parametrize("family", ["distilbert", "gpt2"])
def test_what_cannot_be_kept_is_computed_each_time(family: str, kinds, bases: Base, tmp_path: Path, filled) -> None:
    out, _ = built(
        kinds["single-label"], bases(family), tmp_path / "kept", tmp_path / "cache", pooling="first", epochs=2
    )
    assert not filled
    assert (out / "model.safetensors").exists()


def test_seeds_and_budgets_share_one_filling(kinds, tiny: Path, tmp_path: Path, filled: list[int]) -> None:
    data = kinds["single-label"]
    cache = tmp_path / "cache"
    _, first = built(data, tiny, tmp_path / "a", cache, epochs=2)
    assert sum(filled) == sum(len(read_jsonl(data[s])) for s in ("train", "validation"))
    filled.clear()
    _, second = built(data, tiny, tmp_path / "b", cache, seed=1, epochs=2)
    few = tmp_path / "few.jsonl"
    write_jsonl(few, read_jsonl(data["train"])[::3])
    built({**data, "train": few}, tiny, tmp_path / "c", cache, seed=1, epochs=2)
    assert not filled
    assert second["tokens"] == first["tokens"]
    assert second["flops"] == pytest.approx(first["flops"], rel=0.02)  # its cost is what it takes alone
    built(data, tiny, tmp_path / "d", cache, lowest=2, epochs=2)
    assert filled  # deeper: other outputs


def test_frozen_parts_have_no_dropout_and_the_others_do(kinds, tiny: Path, tmp_path: Path) -> None:
    _, model, _, _, _ = setting(kinds, tiny, tmp_path, method("freeze", lowest=1))
    model.train()
    layers = model.base_model.encoder.layer
    assert not layers[0].training
    assert layers[1].training
    assert not any(module.training for module in model.base_model.embeddings.modules())


def test_killed_and_resumed_equals_uninterrupted(kinds, tiny: Path, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    stage = method("freeze", lowest=1, epochs=3)
    often = CPU.model_copy(update={"save_every": 0.0})

    def build(folder: Path, state: Path, cache: Path, kill: bool) -> Path:
        folder.mkdir()
        state.mkdir(exist_ok=True)

        def report(_: Progress) -> None:
            if kill and list(state.glob("at-*")):
                raise Killed

        work = Work(kinds["single-label"], 0, folder, state, often, report, tiny, "t", (tiny,))
        stage.build(replace(work, cache=cache))
        return folder

    whole = build(tmp_path / "whole", tmp_path / "s0", tmp_path / "c0", False)
    with pytest.raises(Killed):
        build(tmp_path / "killed", tmp_path / "s1", tmp_path / "c1", True)
    resumed = build(tmp_path / "resumed", tmp_path / "s1", tmp_path / "c1", False)
    one, two = read_tensors(whole), read_tensors(resumed)
    assert all(torch.equal(one[name], two[name]) for name in one)
