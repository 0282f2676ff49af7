"""Laws of what is added to frozen weights: nothing at first, merged the same, and the source untouched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.methods.parameter.laws import Base, logits_of, method, setting
from transferline.targets import TARGETS


@pytest.mark.parametrize("name", ["lora", "adapter"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "distilbert"])
def test_at_step_zero_it_equals_its_parent(name: str, family: str, kinds, bases: Base, tmp_path: Path) -> None:
    pooling = "mean" if family == "bert" else "first"
    parent = logits_of(kinds, bases(family), tmp_path, method("full", pooling=pooling))
    fresh = logits_of(kinds, bases(family), tmp_path, method(name, pooling=pooling))
    torch.testing.assert_close(fresh, parent, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lora", "adapter"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_merged_it_predicts_as_unmerged(name: str, family: str, kinds, bases: Base, tmp_path: Path) -> None:
    """Move what learns by hand, then merge: the plain model that is left must say the same."""
    stage = method(name, pooling="mean" if family == "bert" else "first")
    target, model, train, _, _ = setting(kinds, bases(family), tmp_path, stage)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.eval()
    before = target.answer(model, train)
    plain = stage.finish(model)
    np.testing.assert_allclose(target.answer(plain, train), before, rtol=1e-3, atol=1e-5)
    plain.save_pretrained(tmp_path / "plain")
    train.tokenizer.save_pretrained(tmp_path / "plain")
    again = TARGETS["single-label"]().open(tmp_path / "plain")
    assert not any("lora" in name or "parametrizations" in name for name, _ in again.named_parameters())
    np.testing.assert_allclose(target.answer(again, train), before, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["lora", "adapter", "prompt", "prefix", "progressive"])
def test_the_sources_own_weights_do_not_learn(name: str, kinds, tiny: Path, tmp_path: Path) -> None:
    """Train, and compare what came from the parent, tensor by tensor (merged: that something did move)."""
    stage = method(name, epochs=2, patience=2)
    _, _, _, learner, work = setting(kinds, tiny, tmp_path, stage)
    work.state.mkdir(exist_ok=True)
    frozen = {n: p.detach().clone() for n, p in learner.model.named_parameters() if not p.requires_grad}
    moving = {n: p.detach().clone() for n, p in learner.model.named_parameters() if p.requires_grad}
    assert len(frozen) > 20
    assert sum(p.numel() for p in moving.values()) < sum(p.numel() for p in frozen.values()) or name == "progressive"
    stage._train(learner, work)
    now = dict(learner.model.named_parameters())
    assert all(torch.equal(now[n], value) for n, value in frozen.items())
    assert any(not torch.equal(now[n], value) for n, value in moving.items())
