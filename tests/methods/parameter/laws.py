"""What the tests of tuning methods share: a method with quick settings, and its learner before the first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.kinds import CPU, QUICK
from transferline.core.stage import Work
from transferline.models.tokenization import load_tokenizer
from transferline.recipes.registry import TUNING
from transferline.targets import target_of

Base = Callable[[str], Path]


def method(name: str, **changes: Any) -> Any:
    known = TUNING[name].model_fields
    return TUNING[name].model_validate({k: v for k, v in {**QUICK, **changes}.items() if k in known})


def setting(kinds, base: Path, tmp_path: Path, stage: Any, seed: int = 0) -> tuple[Any, Any, Any, Any, Work]:
    """(target, shaped model, training examples, learner, work) of a method before its first step."""

    data = kinds["single-label"]
    work = Work(data, seed, tmp_path / "out", tmp_path / "state", CPU, lambda _: None, base, "t", (base,))
    target = target_of(data["train"])
    model = stage.load(target, work, True)
    tokenizer = stage.prepare(load_tokenizer(base, stage.reading()))
    train, validation = (target.examples(data[s], tokenizer, stage.reading()) for s in ("train", "validation"))
    shaped = stage.shape(model, target, train, validation)
    return target, shaped, train, stage.learner(target, shaped, train, validation, work), work


def logits_of(kinds, base: Path, tmp_path: Path, stage: Any) -> torch.Tensor:
    _, _, train, learner, _ = setting(kinds, base, tmp_path, stage)
    learner.model.eval()
    with torch.no_grad():
        return learner.model(**train.batch(range(8))).logits


def work_of(kinds, base: Path, tmp_path: Path) -> Work:

    return Work(kinds["single-label"], 0, tmp_path, tmp_path, CPU, lambda _: None, base, "t", (base,))
