"""Laws of contrastive adaptation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from transferline.methods.objectives.contrastive import ContrastiveLearner
from transferline.models.weights import load_model

TEXTS = [[5 + i, 6 + i, 7 + i, 8 + i, 9 + i] for i in range(12)]


@pytest.fixture
def learner(tiny: Path) -> ContrastiveLearner:
    model, _ = load_model("AutoModel", tiny, seed=0)
    return ContrastiveLearner(model.eval(), AutoTokenizer.from_pretrained(tiny), TEXTS, temperature=0.05)


def test_without_dropout_a_text_is_nearest_to_itself(learner: ContrastiveLearner) -> None:
    """Both views are then equal, so the diagonal holds the largest similarity: less than the loss of a guess."""
    assert float(learner.loss(learner.collate(range(12), 0))) < math.log(12)


def test_texts_that_are_all_the_same_cost_what_a_guess_costs(learner: ContrastiveLearner) -> None:
    learner.texts = [learner.texts[0]] * 12
    assert float(learner.loss(learner.collate(range(12), 0))) == pytest.approx(math.log(12), abs=1e-4)


def test_padding_does_not_enter_the_mean(learner: ContrastiveLearner) -> None:
    alone = learner.pooled(learner.collate([0], 0))
    learner.texts[1] = learner.texts[1] * 3
    beside_longer = learner.pooled(learner.collate([0, 1], 0))[:1]
    torch.testing.assert_close(alone, beside_longer, rtol=1e-4, atol=1e-5)


def test_uniformity_of_one_point_many_times_is_zero(learner: ContrastiveLearner) -> None:
    assert learner.uniformity() < -1e-6
    learner.texts = [learner.texts[0]] * 12
    assert learner.uniformity() == pytest.approx(0.0, abs=1e-4)
