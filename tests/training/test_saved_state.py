"""Saved states: a damaged one is never resumed, and training falls back to an older one or to the beginning."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import torch

from transferline.training.saved_state import Saved, newest, save, save_best


def trained(state: Path, step: int, best: int = 0) -> tuple[torch.nn.Module, torch.optim.AdamW]:
    torch.manual_seed(step)
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    if best:
        save_best(state, best, model)
    save(state, model, optimizer, Saved(step, {"best_step": best}), list(model.parameters()))
    return model, optimizer


def resumed(state: Path) -> Saved | None:
    model = torch.nn.Linear(4, 4)
    return newest(state, model, torch.optim.AdamW(model.parameters()), list(model.parameters()))


DAMAGE = {
    "cut": lambda raw, rng: raw[: rng.randrange(len(raw))],
    "flipped": lambda raw, rng: _flipped(raw, rng.randrange(len(raw))),
    "zeroed": lambda raw, rng: bytes(len(raw)),
    "empty": lambda raw, rng: b"",
    "doubled": lambda raw, rng: raw + raw,
}


def _flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("file", ["weights.safetensors", "moments.safetensors", "best"])
def test_a_damaged_state_is_not_used(tmp_path: Path, file: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    state = tmp_path / "state"
    trained(state, 10, best=8)
    assert resumed(state) == Saved(10, {"best_step": 8})
    path = state / "best-00000008.safetensors" if file == "best" else state / "at-00000010" / file
    whole = path.read_bytes()
    for seed in range(5):
        path.write_bytes(DAMAGE[how](whole, random.Random(seed)))
        assert resumed(state) is None
        assert "at-00000010: the saved state is damaged and is not used" in caplog.text
    path.write_bytes(whole)
    assert resumed(state) is not None


def test_a_changed_step_is_noticed(tmp_path: Path) -> None:
    trained(tmp_path, 10)
    progress = tmp_path / "at-00000010" / "progress.json"
    progress.write_text(progress.read_text().replace('"step": 10', '"step": 11'))
    assert resumed(tmp_path) is None


@pytest.mark.parametrize("name", ["weights.safetensors", "moments.safetensors", "progress.json"])
def test_a_missing_file_or_progress_that_is_no_json_is_not_used(tmp_path: Path, name: str) -> None:
    trained(tmp_path, 10)
    place = tmp_path / "at-00000010" / name
    place.write_text("{")
    assert resumed(tmp_path) is None
    place.unlink()
    assert resumed(tmp_path) is None


def test_an_older_state_is_used_instead_and_the_next_save_removes_both(tmp_path: Path) -> None:
    trained(tmp_path / "old", 10)
    trained(tmp_path / "new", 20)
    shutil.move(tmp_path / "old" / "at-00000010", tmp_path / "new" / "at-00000010")
    (tmp_path / "new" / "at-00000020" / "weights.safetensors").write_bytes(b"torn")
    assert resumed(tmp_path / "new") == Saved(10, {"best_step": 0})
    trained(tmp_path / "new", 30)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["at-00000030"]


def test_best_weights_that_a_state_refers_to_must_be_there(tmp_path: Path) -> None:
    trained(tmp_path, 10, best=8)
    for path in tmp_path.glob("best-*"):
        path.unlink()
    assert resumed(tmp_path) is None
