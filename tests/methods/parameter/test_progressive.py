"""Laws of progressive networks."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.kinds import build
from tests.methods.parameter.laws import method
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import read_tensors
from transferline.targets import TARGETS


def test_the_source_column_reaches_the_new_one_and_stays_as_it_was(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("progressive", epochs=8, patience=8, schedule={"batch_size": 16, "learning_rate": 5e-3})
    out, _ = build(stage, kinds["single-label"], tmp_path / "t", tiny)
    after, before = read_tensors(out), read_tensors(tiny)
    assert all(torch.equal(after["source." + name], tensor) for name, tensor in before.items())
    model = TARGETS["single-label"]().open(out)
    batch = dict(load_tokenizer(out)(["the lovely film"], return_tensors="pt"))
    said = model(**batch).logits
    with torch.no_grad():
        for lateral in model.laterals[1:]:
            lateral[2].weight.zero_()
    assert not torch.allclose(model(**batch).logits, said)
