"""Permuted language modelling: predict the last tokens of a random factorisation order from the tokens before them in that order.

Yang et al., "XLNet" (2019), sections 2.2 and 2.3: each block gets a random factorisation order, and its last sixth (K = 6) is
predicted. The tokens keep their positions. Only the attention mask follows the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.problem import Ability
from transferline.core.stage import Work
from transferline.data.streaming import blocks_of
from transferline.methods.objectives.objective import Objective, mean_loss, opened
from transferline.models.weights import load_model, save_model
from transferline.training.learner import Learner

if TYPE_CHECKING:
    import torch


class Permuted(Objective):
    """Train permuted language modelling, for XLNet."""

    source: ClassVar[str] = "Yang et al. 2019, sections 2.2 and 2.3"
    ability: ClassVar[Ability | None] = "permuted LM"

    method: Literal["permuted"] = "permuted"
    block: Annotated[int, Field(ge=12)] = 128
    """tokens in a packed block"""
    one_in: Annotated[int, Field(ge=2)] = 6
    """K: one in K tokens is predicted"""

    def longest(self, tokens: StepTexts) -> int:
        return self.block

    def step_flops(self, size: Size, example: Lengths) -> float:
        # the predicted tokens have a second stream, which attends to the whole block as well
        predicted = 1 / self.one_in
        return (1 + predicted) * size.step(example) + 3 * size.head(predicted * example.tokens)

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        model, _ = load_model("AutoModelForCausalLM", parent, work.seed)
        end = tokenizer.sep_token_id
        blocks, probe = blocks_of(self.file(work), tokenizer, self.block, end, None, work.state)
        learner = PermutedLearner(model, blocks, self.one_in, work.seed)
        return self.adapt(
            work,
            learner,
            lambda: mean_loss(learner, probe),
            lambda: save_model(model, tokenizer, parent, work.out),
        )


def read_in_order(length: int, one_in: int, example: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The attention mask (length, length), true where attention is blocked, and the sorted positions to predict.

    Context positions attend to all context positions. A predicted position attends to the context and to the predicted positions
    before it in the order. `example` is (seed, epoch, index).
    """
    order = np.random.default_rng(example).permutation(length)
    count = max(1, length // one_in)
    targets = order[-count:]
    rank = np.zeros(length, dtype=int)  # context positions have rank 0
    rank[targets] = np.arange(1, count + 1)
    hidden = rank[None, :] >= np.maximum(rank[:, None], 1)
    return hidden, np.sort(targets)


class PermutedLearner(Learner):
    """Learner on packed blocks, with a new factorisation order for each block and epoch."""

    def __init__(self, model: Any, blocks: np.ndarray, one_in: int, seed: int) -> None:
        self.model, self.blocks, self.one_in, self.seed = model, blocks, one_in, seed
        self.lengths = [blocks.shape[1]] * len(blocks)

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.batch(self.blocks, indices, epoch)

    def batch(self, blocks: np.ndarray, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        length = blocks.shape[1]
        read = [read_in_order(length, self.one_in, (self.seed, epoch, i)) for i in indices]
        mapping = np.stack([np.eye(length, dtype=np.float32)[targets] for _, targets in read])
        labels = np.stack([blocks[i][targets] for i, (_, targets) in zip(indices, read, strict=True)])
        return {
            "input_ids": torch.from_numpy(blocks[list(indices)].astype(np.int64)),
            "perm_mask": torch.from_numpy(np.stack([hidden for hidden, _ in read]).astype(np.float32)),
            "target_mapping": torch.from_numpy(mapping),
            "labels": torch.from_numpy(labels.astype(np.int64)),
        }

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from torch.nn import functional

        inputs = {name: value for name, value in batch.items() if name != "labels"}
        logits = self.model(**inputs, use_mems=False).logits
        return functional.cross_entropy(logits.float().flatten(0, 1), batch["labels"].flatten())
