"""Next sentence prediction: classify whether sentence B follows sentence A in the document.

Devlin et al., "BERT" (2019), section 3.1, task 2: half of the pairs are true neighbours, the others are random. The input is
[CLS] A [SEP] B [SEP] with segment ids, and a classifier reads the pooled output. By default masked language modelling runs on the
same pairs, as in BERT's pretraining.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Lengths, Prior, Size, StepTexts
from transferline.core.problem import IGNORED_LABEL, Ability, TargetKind
from transferline.core.stage import Work
from transferline.data.blocks import held_out, padded, tokenise
from transferline.methods.objectives.masked import mask
from transferline.methods.objectives.objective import MEASURING, Objective, mean_loss, opened
from transferline.models.weights import load_model, save_model
from transferline.training.learner import Learner

if TYPE_CHECKING:
    import torch

_ENDS = re.compile(r"(?<=[.!?])\s+")
SentencePair = tuple[list[int], list[int]]


class NextSentence(Objective):
    """Train next sentence prediction, by default together with masked language modelling."""

    source: ClassVar[str] = "Devlin et al. 2019, section 3.1"
    ability: ClassVar[Ability | None] = "next sentence"
    prior: ClassVar[Prior] = Prior(new_head=0.01)

    method: Literal["next-sentence"] = "next-sentence"
    masked: bool = True
    """also train masked language modelling on the same pairs"""
    probability: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """share of tokens to mask"""
    piece: Annotated[int, Field(ge=4)] = 48
    """maximum number of tokens of each sentence"""

    def longest_input(self, kind: TargetKind) -> int:
        return 2 * self.piece + 3

    def longest(self, tokens: StepTexts) -> int:
        return 2 * tokens.longest(self.piece) + 3  # [CLS] A [SEP] B [SEP]

    def step_flops(self, size: Size, example: Lengths) -> float:
        masked = self.probability * example.tokens if self.masked else 0.0
        return size.step(example) + 3 * size.head(masked)

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        model, _ = load_model("AutoModelForPreTraining", parent, work.seed)
        pairs, probe = (sentence_pairs(tokenizer, texts, self.piece) for texts in held_out(self.file(work)))
        if len(pairs) < 2:
            raise InputError("corpus", "fewer than two documents have two sentences", "Use longer texts")
        learner = NextSentenceLearner(model, tokenizer, pairs, self, work.seed)
        held = (probe if len(probe) > 1 else pairs)[:256]
        figures = self.adapt(
            work,
            learner,
            lambda: mean_loss(learner, held),
            lambda: save_model(model, tokenizer, parent, work.out),
        )
        return {**figures, "next_sentence_accuracy": learner.accuracy(held)}


def sentence_pairs(tokenizer: Any, texts: Sequence[str], piece: int) -> list[SentencePair]:
    """Pairs of neighbouring sentences of each text, as token ids. A text of one sentence is split in its middle."""
    pairs: list[SentencePair] = []
    for text in texts:
        sentences = [s for s in _ENDS.split(text) if s]
        ids = tokenise(tokenizer, sentences) if len(sentences) > 1 else _halves(tokenise(tokenizer, [text])[0])
        pairs += [(a[-piece:], b[:piece]) for a, b in zip(ids[::2], ids[1::2], strict=False) if a and b]
    return pairs


def _halves(ids: list[int]) -> list[list[int]]:
    return [ids[: len(ids) // 2], ids[len(ids) // 2 :]]


def drawn_pair(pairs: Sequence[SentencePair], index: int, seed: int, epoch: int) -> tuple[list[int], list[int], int]:
    """A, B and the label (0: B follows A, 1: it does not) of one example. Depends on (seed, epoch, index) only."""
    rng = np.random.default_rng((seed, epoch, index))
    first, second = pairs[index]
    if rng.random() < 0.5:
        return first, second, 0
    other = int(rng.integers(0, len(pairs) - 1))
    return first, pairs[other + (other >= index)][1], 1  # skips the pair's own second sentence


class NextSentenceLearner(Learner):
    """Learner on sentence pairs. Half of them get the second sentence of another pair."""

    def __init__(self, model: Any, tokenizer: Any, pairs: list[SentencePair], method: NextSentence, seed: int) -> None:
        self.model, self.tokenizer, self.pairs, self.method, self.seed = model, tokenizer, pairs, method, seed
        self.lengths = [len(a) + len(b) + 3 for a, b in pairs]
        self.special = np.array(tokenizer.all_special_ids)
        self.vocabulary = np.setdiff1d(np.arange(len(tokenizer)), self.special)

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.batch(self.pairs, indices, epoch)

    def batch(self, pairs: Sequence[SentencePair], indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        cls, sep = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        ids, segments, labels, follows = [], [], [], []
        for i in indices:
            first, second, label = drawn_pair(pairs, i, self.seed, epoch)
            row = np.array([cls, *first, sep, *second, sep])
            wanted = np.full(len(row), IGNORED_LABEL)
            if self.method.masked:
                [row], [wanted] = mask(
                    row[np.newaxis],
                    [(self.seed, epoch, i)],
                    self.method.probability,
                    mask_id=self.tokenizer.mask_token_id,
                    vocabulary=self.vocabulary,
                    special=self.special,
                )
            ids.append(row.tolist())
            labels.append(wanted.tolist())
            segments.append([0] * (len(first) + 2) + [1] * (len(second) + 1))
            follows.append(label)
        return {
            "input_ids": padded(ids, self.tokenizer.pad_token_id),
            "attention_mask": padded([[1] * len(row) for row in ids], 0),
            "token_type_ids": padded(segments, 0),
            "labels": padded(labels, IGNORED_LABEL),
            "follows": torch.tensor(follows),
        }

    def units(self, indices: Sequence[int], epoch: int) -> dict[str, float]:
        """Number of pairs, and of masked positions."""
        masked = int((self.collate(indices, epoch)["labels"] != IGNORED_LABEL).sum()) if self.method.masked else 0
        return {"pairs": float(len(indices)), "masked": float(masked)}

    def terms(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from torch.nn import functional

        hidden, follows = self._read(batch)
        found = {"pairs": functional.cross_entropy(follows.float(), batch["follows"])}
        if self.method.masked:
            where = batch["labels"] != IGNORED_LABEL
            logits = self.model.cls.predictions(hidden[where])  # at masked positions only
            summed = functional.cross_entropy(logits.float(), batch["labels"][where], reduction="sum")
            found["masked"] = summed / max(1, int(where.sum()))
        return found

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        terms = self.terms(batch)
        return sum(terms.values(), start=terms.pop("pairs"))

    def _read(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
        read = self.model.base_model(**inputs)
        return read.last_hidden_state, self.model.cls.seq_relationship(read.pooler_output)

    def accuracy(self, pairs: Sequence[SentencePair]) -> float:
        """Accuracy of next sentence prediction on pairs."""
        import torch

        self.model.eval()
        device = next(self.model.parameters()).device
        with torch.no_grad():
            batch = {k: v.to(device) for k, v in self.batch(pairs, range(len(pairs)), MEASURING).items()}
            return float((self._read(batch)[1].argmax(dim=-1) == batch["follows"]).float().mean())
