"""Laws of causal language modelling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from transferline.methods.objectives.causal import CausalLearner
from transferline.models.weights import load_model

Base = Callable[[str], Path]


def test_the_causal_loss_is_the_models_own(bases: Base) -> None:
    model, _ = load_model("AutoModelForCausalLM", bases("gpt2"), 0)
    blocks = np.random.default_rng(0).integers(6, 30, (4, 12)).astype(np.int32)
    learner = CausalLearner(model.eval(), blocks)
    batch = learner.collate(range(4), 0)
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"]).logits[:, :-1]
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["input_ids"][:, 1:].flatten())
        torch.testing.assert_close(learner.loss(batch), expected)
