"""Causal language modelling: predict each token from the tokens before it.

Radford et al., "Improving Language Understanding by Generative Pre-Training" (2018), section 3.1. For decoders such as GPT and
Llama. Documents are joined with the end token and cut into blocks of equal length.
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


COUNTED = 2**20  # tokens that word frequencies are counted on


class Causal(Objective):
    """Next-token prediction on packed blocks, for decoders."""

    source: ClassVar[str] = "Radford et al. 2018, section 3.1"
    ability: ClassVar[Ability | None] = "causal LM"

    method: Literal["causal"] = "causal"
    block: Annotated[int, Field(ge=8)] = 128
    """tokens in a packed block"""

    def longest(self, tokens: StepTexts) -> int:
        return self.block

    def step_flops(self, size: Size, example: Lengths) -> float:
        return size.step(example) + 3 * size.head(example.tokens)

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        model, _ = load_model("AutoModelForCausalLM", parent, work.seed)
        end = tokenizer.eos_token_id
        blocks, probe = blocks_of(self.file(work), tokenizer, self.block, end, None, work.state)
        if hasattr(model, "expect"):  # recurrent language models initialise their output bias with word frequencies
            model.expect(counts_of(blocks, model.config.vocab_size))
        learner = CausalLearner(model, blocks)
        return self.adapt(
            work,
            learner,
            lambda: mean_loss(learner, probe),
            lambda: save_model(model, tokenizer, parent, work.out),
        )


def counts_of(blocks: np.ndarray, words: int) -> torch.Tensor:
    """Frequency of each word in the first blocks, (words,). Blocks are in hash order, so the first are a random sample."""
    import torch

    some = np.asarray(blocks[: max(1, COUNTED // blocks.shape[1])])
    return torch.from_numpy(np.bincount(some.ravel(), minlength=words).astype(np.float32))


class CausalLearner(Learner):
    """Learner on packed blocks. The model shifts the labels itself."""

    shards = True

    def __init__(self, model: Any, blocks: np.ndarray) -> None:
        self.model, self.blocks = model, blocks
        self.lengths = [blocks.shape[1]] * len(blocks)

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.batch(self.blocks, indices, epoch)

    def batch(self, blocks: np.ndarray, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        return {"input_ids": torch.from_numpy(blocks[list(indices)].astype(np.int64))}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.model(input_ids=batch["input_ids"], labels=batch["input_ids"]).loss
