"""Masked language modelling: hide some tokens, learn to name them from the rest.

Devlin et al., "BERT" (2019), section 3.1: 15 % of the tokens are chosen; of those 80 % become [MASK], 10 % a random
token, and 10 % stay as they are. On a domain's text this is domain-adaptive pretraining, on the task's own text
task-adaptive pretraining (Gururangan et al., "Don't Stop Pretraining", 2020).

The masks depend on (seed, epoch, example) alone, so a resumed or re-sharded run sees the same ones. The vocabulary
projection runs at the masked positions only: the same loss and gradients at about a sixth of its cost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.problem import IGNORED_LABEL, Ability
from transferline.core.stage import Work
from transferline.data.streaming import blocks_of
from transferline.methods.objectives.objective import Objective, mean_loss, opened
from transferline.models.weights import load_model, save_model
from transferline.training.learner import Learner

if TYPE_CHECKING:
    import torch


class Masked(Objective):
    """Masked language modelling on packed blocks."""

    source: ClassVar[str] = "Devlin et al. 2019, section 3.1"
    ability: ClassVar[Ability | None] = "masked LM"

    method: Literal["masked"] = "masked"
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """share of tokens to predict"""
    whole_words: bool = False
    """words are chosen instead of pieces, and all pieces of a chosen word are predicted"""
    block: Annotated[int, Field(ge=8)] = 128
    """tokens in a packed block"""
    head_warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of the steps in which only a new head learns, where the base brings none"""

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        check_tokenizer(tokenizer, parent.name)
        model, new = load_model("AutoModelForMaskedLM", parent, work.seed)
        pair = tokenizer.cls_token_id, tokenizer.sep_token_id
        blocks, probe = blocks_of(self.file(work), tokenizer, self.block, pair[1], pair, work.state)
        learner = MaskedLearner(
            model, tokenizer, blocks, self.probability, work.seed, new, self.head_warmup, self.whole_words
        )
        return self.adapt(
            work,
            learner,
            lambda: mean_loss(learner, probe),
            lambda: save_model(model, tokenizer, parent, work.out),
        )


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
    starts: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Masked tokens and labels of one block (both of its shape); `example` is (seed, epoch, index).

    Labels are IGNORED_LABEL where nothing is to be predicted. Special tokens are never chosen. `starts` says of each token of the
    vocabulary whether a word begins with it; given, whole words are chosen.
    """
    rng = np.random.default_rng(example)
    drawn = rng.random(tokens.shape) < probability
    if starts is not None:
        word = np.cumsum(starts[tokens] | np.isin(tokens, special)) - 1
        drawn = drawn[np.maximum(word, 0)]
    chosen = drawn & ~np.isin(tokens, special)
    labels = np.where(chosen, tokens, IGNORED_LABEL)
    fate = rng.random(tokens.shape)
    random_tokens = vocabulary[rng.integers(0, len(vocabulary), tokens.shape)]
    masked = np.where(chosen & (fate < 0.8), mask_id, tokens)
    return np.where(chosen & (fate >= 0.8) & (fate < 0.9), random_tokens, masked), labels


def word_starts(tokenizer: Any) -> np.ndarray:
    """Of each token of a vocabulary whether a word begins with it, by the three marks that tokenizers use."""
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    if any(token.startswith("##") for token in tokens):
        return np.array([not token.startswith("##") for token in tokens])
    marks = ("\u2581", "\u0120")  # SentencePiece's and byte-level BPE's space before a word
    if any(token.startswith(marks) for token in tokens):
        return np.array([token.startswith(marks) for token in tokens])
    return np.ones(len(tokens), dtype=bool)  # a vocabulary of whole words


class MaskedLearner(Learner):
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
        whole_words: bool = False,
    ) -> None:
        self.model, self.blocks, self.probability, self.seed = model, blocks, probability, seed
        self.lengths: list[int] = [blocks.shape[1]] * len(blocks)
        self.special = np.array(tokenizer.all_special_ids)
        self.vocabulary = np.setdiff1d(np.arange(len(tokenizer)), self.special)
        self.mask_id = tokenizer.mask_token_id
        self.head_warmup = head_warmup if new else 0.0
        self.new = new
        self.head = head_only(model)
        self.starts = word_starts(tokenizer) if whole_words else None

    def before_step(self, step: int, steps: int) -> None:
        """While the new head is warm-up, the encoder stands still: random gradients would only damage it."""
        warming = step < round(self.head_warmup * steps)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not warming or name in self.new)

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.batch(self.blocks, indices, epoch)

    def batch(self, blocks: np.ndarray, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        rules = (self.probability, self.mask_id, self.vocabulary, self.special, self.starts)
        pairs = [mask(blocks[i], (self.seed, epoch, i), *rules) for i in indices]
        tokens, labels = (torch.from_numpy(np.stack(part).astype(np.int64)) for part in zip(*pairs, strict=True))
        where = (labels.flatten() != IGNORED_LABEL).nonzero()[
            :, 0
        ]  # known here already: a GPU would have to be waited for
        return {"input_ids": tokens, "labels": labels, "where": where}

    def units(self, indices: Sequence[int], epoch: int) -> float:
        """Masked positions: what the loss is a mean over."""
        return float(len(self.collate(indices, epoch)["where"]))

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        where = batch["where"]
        hidden = self.model.base_model(input_ids=batch["input_ids"]).last_hidden_state
        logits = self.head(hidden.flatten(0, 1)[where])
        # A sum over at least one position: a block may, rarely, have no masked token at all.
        total = torch.nn.functional.cross_entropy(logits.float(), batch["labels"].flatten()[where], reduction="sum")
        return total / max(1, len(where))


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
