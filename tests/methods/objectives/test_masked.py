"""Laws of masked language modelling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from transferline.core.errors import InputError
from transferline.core.problem import IGNORED_LABEL
from transferline.methods.objectives.masked import MaskedLearner, check_tokenizer, head_only, mask
from transferline.models.weights import load_model

SPECIAL, MASK = np.array([0, 1, 2, 3, 4]), 4
VOCABULARY = np.arange(5, 1000)


def masks(epoch: int = 0, count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    blocks = rng.integers(5, 1000, (count, 64))
    blocks[:, 0], blocks[:, -1] = 2, 3
    examples = [(seed, epoch, i) for i in range(count)]
    masked, labels = mask(blocks, examples, 0.15, mask_id=MASK, vocabulary=VOCABULARY, special=SPECIAL)
    return blocks, masked, labels


def within(hits: int, trials: int, p: float) -> bool:
    """Within five standard deviations of a binomial."""
    return abs(hits - trials * p) < 5 * np.sqrt(trials * p * (1 - p))


def test_fifteen_percent_are_chosen_and_split_80_10_10() -> None:
    blocks, masked, labels = masks()
    chosen = labels != IGNORED_LABEL
    assert within(int(chosen.sum()), 400 * 62, 0.15)
    total = int(chosen.sum())
    assert within(int((masked[chosen] == MASK).sum()), total, 0.8)
    random_share = 0.1 * (len(VOCABULARY) - 1) / len(VOCABULARY)  # a random token may be the token itself
    assert within(int(((masked != blocks) & (masked != MASK) & chosen).sum()), total, random_share)
    assert within(int((masked == blocks)[chosen].sum()), total, 0.1 + 0.1 / len(VOCABULARY))


def test_special_tokens_are_never_touched_and_others_only_where_chosen() -> None:
    blocks, masked, labels = masks()
    special = np.isin(blocks, SPECIAL)
    assert (masked[special] == blocks[special]).all()
    assert (labels[special] == IGNORED_LABEL).all()
    assert (masked == blocks)[labels == IGNORED_LABEL].all()
    assert (labels == blocks)[labels != IGNORED_LABEL].all()


@pytest.mark.parametrize("starts", [None, np.arange(1000) < 500], ids=["pieces", "words"])
def test_a_batch_is_masked_as_its_rows_are(starts: np.ndarray | None) -> None:
    rows = np.random.default_rng(1).integers(0, 1000, (20, 64))
    rules = {"mask_id": MASK, "vocabulary": VOCABULARY, "special": SPECIAL, "starts": starts}
    whole = mask(rows, [(0, 0, i) for i in range(20)], 0.15, **rules)
    parts = [mask(rows[i : i + 1], [(0, 0, i)], 0.15, **rules) for i in range(20)]
    for side in (0, 1):
        assert np.array_equal(whole[side], np.concatenate([part[side] for part in parts]))


def test_masks_depend_on_seed_epoch_and_example_alone() -> None:
    _, once, _ = masks()
    _, again, _ = masks()
    assert np.array_equal(once, again)
    assert not np.array_equal(once, masks(epoch=1)[1])
    assert not np.array_equal(once, masks(seed=1)[1])


@pytest.fixture
def learner(tiny: Path) -> MaskedLearner:
    model, new = load_model("AutoModelForMaskedLM", tiny, seed=0)
    blocks = np.random.default_rng(0).integers(5, 40, (32, 16)).astype(np.int32)
    return MaskedLearner(
        model.eval(), AutoTokenizer.from_pretrained(tiny), blocks, probability=0.15, seed=0, new=new, head_warmup=0.5
    )


def test_the_head_at_masked_positions_gives_the_models_own_loss_and_gradients(learner: MaskedLearner) -> None:
    batch = learner.collate(range(32), epoch=0)
    learner.loss(batch).backward()
    mine = {n: p.grad.clone() for n, p in learner.model.named_parameters() if p.grad is not None}
    learner.model.zero_grad()
    own = learner.model(input_ids=batch["input_ids"], labels=batch["labels"]).loss
    own.backward()
    torch.testing.assert_close(learner.loss(batch), own)
    for name, parameter in learner.model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(mine[name], parameter.grad, msg=name)


def test_the_head_is_the_models_own(tiny: Path) -> None:
    model = AutoModelForMaskedLM.from_pretrained(tiny).eval()
    tokens = torch.randint(5, 40, (2, 7))
    hidden = model.base_model(input_ids=tokens).last_hidden_state
    torch.testing.assert_close(
        head_only(model)(hidden.reshape(14, -1)).reshape(2, 7, -1), model(input_ids=tokens).logits
    )


def test_while_a_new_head_warms_up_the_encoder_stands_still(learner: MaskedLearner) -> None:
    learner.before_step(0, 10)
    learning = {name for name, p in learner.model.named_parameters() if p.requires_grad}
    assert learning == learner.new
    assert all(name.startswith("cls.") for name in learning)
    learner.before_step(5, 10)
    assert all(p.requires_grad for p in learner.model.parameters())


def test_a_base_without_mask_token_is_refused(tiny: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match=r"needs a \[MASK\] token"):
        check_tokenizer(tokenizer, "decoder")
