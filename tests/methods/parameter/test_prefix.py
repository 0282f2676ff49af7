"""Laws of prefix tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import build
from tests.methods.parameter.laws import method
from transferline.models.tokenization import TokenizerSettings, load_tokenizer
from transferline.models.weights import read_tensors
from transferline.targets import TARGETS


def test_a_prefix_is_saved_apart_and_comes_back(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("prefix", tokens=4, epochs=2, schedule={"learning_rate": 0.05})
    out, figures = build(stage, kinds["single-label"], tmp_path / "t", tiny)
    assert (out / "prefix.safetensors").exists()
    target = TARGETS["single-label"]()
    model = target.open(out)
    examples = target.examples(kinds["single-label"]["validation"], load_tokenizer(out), TokenizerSettings(24))
    assert target.measure(model, examples)["accuracy"] == pytest.approx(figures["validation_accuracy"])
    bare = read_tensors(out)
    assert torch.equal(
        bare["bert.encoder.layer.0.output.dense.weight"], read_tensors(tiny)["encoder.layer.0.output.dense.weight"]
    )
    (out / "prefix.json").unlink()
    without = TARGETS["single-label"]().open(out)
    assert not np.allclose(target.answer(model, examples), target.answer(without, examples), atol=1e-4)
