"""Masked language modelling: predict masked tokens from their context.

Devlin et al., "BERT" (2019), section 3.1: 15 % of the tokens are chosen. Of these, 80 % are replaced by [MASK], 10 % by a random
token, and 10 % stay unchanged. On the domain's corpus this is domain-adaptive pretraining (DAPT), on the task's own text
task-adaptive pretraining (TAPT; Gururangan et al., "Don't Stop Pretraining", 2020).

The masks depend on (seed, epoch, example) only, so a resumed or re-sharded run sees the same ones. The vocabulary projection
runs at the masked positions only, which gives the same loss and gradients at about a sixth of its cost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Lengths, Prior, Size, StepTexts
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
    prior: ClassVar[Prior] = Prior(new_head=0.01)

    method: Literal["masked"] = "masked"
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """share of tokens to predict"""
    whole_words: bool = False
    """choose whole words instead of pieces (whole word masking), and predict all pieces of a chosen word"""
    block: Annotated[int, Field(ge=8)] = 128
    """tokens in a packed block"""
    head_warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of the steps in which only the head is trained, if the base has no masked LM head and gets a new one"""

    def longest(self, tokens: StepTexts) -> int:
        return self.block

    def step_flops(self, size: Size, example: Lengths) -> float:
        return size.step(example) + 3 * size.head(self.probability * example.tokens)

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        check_tokenizer(tokenizer, parent.name)
        model, new = load_model("AutoModelForMaskedLM", parent, work.seed)
        pair = tokenizer.cls_token_id, tokenizer.sep_token_id
        blocks, probe = blocks_of(self.file(work), tokenizer, self.block, pair[1], pair, work.state)
        learner = MaskedLearner(
            model,
            tokenizer,
            blocks,
            probability=self.probability,
            seed=work.seed,
            new=new,
            head_warmup=self.head_warmup,
            whole_words=self.whole_words,
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
    rows: np.ndarray,
    examples: Sequence[tuple[int, int, int]],
    probability: float,
    *,
    mask_id: int,
    vocabulary: np.ndarray,
    special: np.ndarray,
    starts: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mask rows of tokens, shape (n, length). Returns the masked tokens and the labels, both in this shape.

    `examples` has (seed, epoch, index) of each row. Labels are IGNORED_LABEL at unmasked positions. Special tokens are never
    chosen. `starts`, a boolean per token of the vocabulary, marks tokens that start a word. If given, whole words are chosen.
    """
    share, fate, other = np.empty(rows.shape), np.empty(rows.shape), np.empty(rows.shape, np.int64)
    for i, example in enumerate(examples):  # draws alone are made row by row: a row's draws depend on its example only
        rng = np.random.default_rng(example)
        rng.random(out=share[i])
        rng.random(out=fate[i])
        other[i] = rng.integers(0, len(vocabulary), rows.shape[1])
    drawn, never = share < probability, np.isin(rows, special)
    if starts is not None:  # all pieces of a word share the draw at the position of the word's number
        word = np.cumsum(starts[rows] | never, axis=1) - 1
        drawn = np.take_along_axis(drawn, np.maximum(word, 0), axis=1)
    chosen = drawn & ~never
    # 80 % [MASK], 10 % a random token, 10 % unchanged
    masked = np.where(chosen & (fate < 0.8), mask_id, rows)
    masked = np.where(chosen & (fate >= 0.8) & (fate < 0.9), vocabulary[other], masked)
    return masked, np.where(chosen, rows, IGNORED_LABEL)


def word_starts(tokenizer: Any) -> np.ndarray:
    """For each token of the vocabulary, whether it starts a word. Reads WordPiece, SentencePiece and byte-level BPE marks."""
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    if any(token.startswith("##") for token in tokens):
        return np.array([not token.startswith("##") for token in tokens])
    marks = ("\u2581", "\u0120")  # SentencePiece's and byte-level BPE's space before a word
    if any(token.startswith(marks) for token in tokens):
        return np.array([token.startswith(marks) for token in tokens])
    return np.ones(len(tokens), dtype=bool)  # a vocabulary of whole words


class MaskedLearner(Learner):
    """Learner on packed blocks that applies the head at masked positions only."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        blocks: np.ndarray,
        *,
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
        self._warming: bool | None = None
        self.head = head_only(model)
        self.starts = word_starts(tokenizer) if whole_words else None

    def before_step(self, step: int, steps: int) -> None:
        """Freeze the encoder while a new head warms up, because gradients through a random head would damage it."""
        warming = step < round(self.head_warmup * steps)
        if warming != self._warming:  # walking through the modules at every step would keep a GPU waiting
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(not warming or name in self.new)
            self._warming = warming

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.batch(self.blocks, indices, epoch)

    def batch(self, blocks: np.ndarray, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        rules = {
            "mask_id": self.mask_id,
            "vocabulary": self.vocabulary,
            "special": self.special,
            "starts": self.starts,
        }
        rows = np.stack([blocks[i] for i in indices]).astype(np.int64)
        examples = [(self.seed, epoch, i) for i in indices]
        tokens, labels = (torch.from_numpy(part) for part in mask(rows, examples, self.probability, **rules))
        # computed here on the CPU: `nonzero` on a GPU makes the host wait for it
        where = (labels.flatten() != IGNORED_LABEL).nonzero()[:, 0]
        return {"input_ids": tokens, "labels": labels, "where": where}

    def units(self, indices: Sequence[int], epoch: int) -> dict[str, float]:
        """Number of masked positions: the loss is a mean over them."""
        return {"": float(len(self.collate(indices, epoch)["where"]))}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        where = batch["where"]
        hidden = self.model.base_model(input_ids=batch["input_ids"]).last_hidden_state
        logits = self.head(hidden.flatten(0, 1)[where])
        # sum / max(1, n) instead of the mean: a block may, rarely, have no masked token, and its mean would be NaN
        total = torch.nn.functional.cross_entropy(logits.float(), batch["labels"].flatten()[where], reduction="sum")
        return total / max(1, len(where))


def head_only(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """The model's head as a function of hidden states (n, width), independent of the name the architecture gives it.

    A shallow copy of the model shares all parameters, but its encoder is replaced by a module that returns given hidden states.
    The model's own `forward` then applies the head to these rows only.
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
