"""Laws of permuted language modelling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from transferline.methods.objectives.permuted import PermutedLearner, read_in_order
from transferline.models.weights import load_model

Base = Callable[[str], Path]


class TestPermuted:
    def test_nobody_sees_what_comes_later_in_the_order_or_itself(self) -> None:
        for index in range(20):
            hidden, targets = read_in_order(24, 6, (0, 0, index))
            assert len(targets) == 4
            given = np.setdiff1d(np.arange(24), targets)
            assert not hidden[np.ix_(given, given)].any()  # what is given is seen by all that is given
            assert hidden[np.ix_(given, targets)].all()  # and sees nothing of what is to be predicted
            assert not hidden[np.ix_(targets, given)].any()
            among = hidden[np.ix_(targets, targets)]
            assert among.diagonal().all()
            assert ((~among).sum(axis=1).tolist()) != [0] * 4
            assert sorted((~among).sum(axis=1)) == [0, 1, 2, 3]  # a strict order

    def test_a_prediction_does_not_depend_on_what_is_hidden_from_it(self, bases: Base) -> None:
        model, _ = load_model("AutoModelForCausalLM", bases("xlnet"), 0)
        model.eval()
        blocks = np.random.default_rng(0).integers(6, 30, (1, 18)).astype(np.int32)
        learner = PermutedLearner(model, blocks, 6, 0)
        batch = learner.collate([0], 0)
        _, targets = read_in_order(18, 6, (0, 0, 0))
        changed = {**batch, "input_ids": batch["input_ids"].clone()}
        changed["input_ids"][0, targets] = 7
        inputs = [{k: v for k, v in some.items() if k != "labels"} for some in (batch, changed)]
        with torch.no_grad():
            one, two = (model(**some, use_mems=False).logits for some in inputs)
        first = int(np.argmin([row.sum() for row in (~read_in_order(18, 6, (0, 0, 0))[0][targets][:, targets])]))
        torch.testing.assert_close(one[0, first], two[0, first])  # the first in the order sees the given ones only
