"""Masked language modelling: hide some tokens, learn to name them from the rest.

Devlin et al., "BERT" (2019), section 3.1: 15 % of the tokens are chosen; of those 80 % become [MASK], 10 % a random
token, and 10 % stay as they are. On a domain's text this is domain-adaptive pretraining, on the task's own text
task-adaptive pretraining (Gururangan et al., "Don't Stop Pretraining", 2020).

The masks depend on (seed, epoch, example) alone, so a resumed or re-sharded run sees the same ones. The vocabulary
projection runs at the masked positions only: the same loss and gradients at about a sixth of its cost.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transfer.corpora.blocks import held_out, pack, tokenise
from transfer.errors import InputError
from transfer.stage import Kind, Stage, Work
from transfer.training import Schedule, train

if TYPE_CHECKING:
    import torch

IGNORED = -100
_MEASURING = 2**31  # an epoch that no training reaches: the masks of the held-out loss


class Masked(Stage):
    """Masked language modelling on the domain's corpus."""

    kind: ClassVar[Kind] = "adapt"
    reads: ClassVar[tuple[str, ...]] = ("corpus",)
    long: ClassVar[bool] = True
    gpu: ClassVar[bool] = True

    method: Literal["masked"] = "masked"
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """share of tokens to predict"""
    block: Annotated[int, Field(ge=8)] = 128
    """tokens in a packed block"""
    tokens: Annotated[int, Field(ge=1)] = 1_000_000
    """tokens to train on, corpus repeated as needed"""
    head_warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of the steps in which only a new head learns, where the base brings none"""
    schedule: Schedule = Schedule(rate=1e-4)

    def build(self, work: Work) -> dict[str, float]:
        from transformers import AutoTokenizer

        from transfer.weights import load_model, save_model

        parent = work.needs_parent()
        tokenizer = AutoTokenizer.from_pretrained(parent)
        check_tokenizer(tokenizer, parent.name)
        model, new = load_model("AutoModelForMaskedLM", parent, work.seed)
        trained, measured = held_out(work.data["corpus"])
        pair = tokenizer.cls_token_id, tokenizer.sep_token_id
        blocks = pack(tokenise(tokenizer, trained), self.block, *pair)
        probe = pack(tokenise(tokenizer, measured + measured * (self.block // 8)), self.block, *pair)[:64]
        learner = MaskedLearner(model, tokenizer, blocks, self.probability, work.seed, new, self.head_warmup)
        steps = max(1, math.ceil(self.tokens / (self.block * self.schedule.batch_size)))
        work.runtime.place(model)
        before = learner.measure(probe)
        train(learner, self.schedule, steps, work.seed, work.runtime, work.state, work.report, work.name)
        after = learner.measure(probe)
        save_model(model, tokenizer, parent, work.out)
        seen = float(steps * self.block * self.schedule.batch_size)
        return {"heldout_loss_before": before, "heldout_loss": after, "tokens": seen, "corpus_blocks": len(blocks)}


def check_tokenizer(tokenizer: Any, name: str) -> None:
    """Raise InputError where a base cannot do masked language modelling."""
    if tokenizer.mask_token_id is None or tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        mend = "Use a base whose tokenizer has mask, cls and sep tokens, or another objective"
        raise InputError(f"base {name}", "masked language modelling needs a [MASK] token, and there is none", mend)


def mask(
    tokens: np.ndarray,
    example: tuple[int, int, int],
    probability: float,
    mask_id: int,
    vocabulary: np.ndarray,
    special: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Masked tokens and labels of one block (both of its shape); `example` is (seed, epoch, index).

    Labels are IGNORED where nothing is to be predicted. Special tokens are never chosen.
    """
    rng = np.random.default_rng(example)
    chosen = (rng.random(tokens.shape) < probability) & ~np.isin(tokens, special)
    labels = np.where(chosen, tokens, IGNORED)
    fate = rng.random(tokens.shape)
    random_tokens = vocabulary[rng.integers(0, len(vocabulary), tokens.shape)]
    masked = np.where(chosen & (fate < 0.8), mask_id, tokens)
    return np.where(chosen & (fate >= 0.8) & (fate < 0.9), random_tokens, masked), labels


class MaskedLearner:
    """Blocks, their masks, and a head that looks at the masked positions only."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        blocks: np.ndarray,
        probability: float,
        seed: int,
        new: frozenset[str],
        head_warmup: float,
    ) -> None:
        self.model, self.blocks, self.probability, self.seed = model, blocks, probability, seed
        self.lengths: list[int] = [blocks.shape[1]] * len(blocks)
        self.special = np.array(tokenizer.all_special_ids)
        self.vocabulary = np.setdiff1d(np.arange(len(tokenizer)), self.special)
        self.mask_id = tokenizer.mask_token_id
        self.head_warmup = head_warmup if new else 0.0
        self.new = new
        self.head = head_only(model)

    def groups(self, rate: float) -> list[dict]:
        return [{"params": list(self.model.parameters()), "lr": rate}]

    def before_step(self, step: int, steps: int) -> None:
        """While the new head is warm-up, the encoder stands still: random gradients would only damage it."""
        warming = step < round(self.head_warmup * steps)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not warming or name in self.new)

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self._batch(self.blocks, indices, epoch)

    def _batch(self, blocks: np.ndarray, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        pairs = [
            mask(blocks[i], (self.seed, epoch, i), self.probability, self.mask_id, self.vocabulary, self.special)
            for i in indices
        ]
        tokens, labels = (torch.from_numpy(np.stack(part).astype(np.int64)) for part in zip(*pairs, strict=True))
        return {"input_ids": tokens, "labels": labels}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        labels = batch["labels"]
        hidden = self.model.base_model(input_ids=batch["input_ids"]).last_hidden_state
        where = labels != IGNORED
        logits = self.head(hidden[where])
        # A sum over at least one position: a block may, rarely, have no masked token at all.
        total = torch.nn.functional.cross_entropy(logits.float(), labels[where], reduction="sum")
        return total / max(1, int(where.sum()))

    def validate(self) -> dict[str, float]:
        return {}

    def measure(self, blocks: np.ndarray, size: int = 32) -> float:
        """Mean loss on held-out blocks, always with the same masks."""
        import torch

        self.model.eval()
        losses = []
        with torch.no_grad():
            for start in range(0, len(blocks), size):
                batch = self._batch(blocks, range(start, min(start + size, len(blocks))), _MEASURING)
                batch = {k: v.to(self.model.device) for k, v in batch.items()}
                losses.append(float(self.loss(batch)))
        return float(np.mean(losses))


def head_only(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """The model's own head as a function of hidden states, whatever the architecture calls it.

    A shallow copy of the model shares every parameter but has, in the encoder's place, a module that returns the
    hidden states it was given; so the model's own `forward` applies the head, and only to the rows that matter.
    """
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    class Given(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden: torch.Tensor | None = None

        def forward(self, *_: Any, **__: Any) -> BaseModelOutput:
            return BaseModelOutput(last_hidden_state=self.hidden)

    given = Given()
    shell = copy.copy(model)
    shell._modules = {**model._modules, model.base_model_prefix: given}

    def apply(hidden: torch.Tensor) -> torch.Tensor:
        given.hidden = hidden.unsqueeze(0)
        return shell(input_ids=torch.zeros((1, len(hidden)), dtype=torch.long, device=hidden.device)).logits[0]

    return apply
