"""TSDAE: a sentence's pooled vector must hold enough to write the sentence again from a damaged copy.

Wang, Reimers & Gurevych, "TSDAE" (2021), section 3: 60 % of the tokens are deleted, the encoder pools what is left into one
vector, and a decoder that sees nothing but that vector writes the whole sentence. Encoder and decoder share their weights but
for the decoder's cross attention, which is thrown away. What a sentence encoder wants as adaptation where SimCSE has nothing
left to teach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.problem import IGNORED_LABEL, Ability
from transferline.core.stage import Work
from transferline.data.blocks import affixes, held_out, padded, pieces, tokenise
from transferline.methods.objectives.objective import Objective, mean_loss, opened
from transferline.models.weights import load_model, save_model
from transferline.training.learner import Learner, Schedule

if TYPE_CHECKING:
    import torch


class Denoising(Objective):
    """Denoising auto-encoder for sentence encoders."""

    source: ClassVar[str] = "Wang et al. 2021, section 3"
    ability: ClassVar[Ability | None] = "denoising"

    method: Literal["tsdae"] = "tsdae"
    deleted: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """share of tokens that the encoder does not get to see"""
    piece: Annotated[int, Field(ge=8)] = 48
    """longest piece of a document, in tokens"""
    tokens: Annotated[int, Field(ge=1)] = 500_000
    schedule: Schedule = Schedule(batch_size=16, learning_rate=3e-5)

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        encoder, _ = load_model("AutoModel", parent, work.seed)
        decoder, _ = load_model("AutoModelForCausalLM", parent, work.seed, is_decoder=True, add_cross_attention=True)
        trained, measured = held_out(self.file(work))
        longest = self.piece - tokenizer.num_special_tokens_to_add()
        texts, probe = (pieces(tokenise(tokenizer, some), longest) for some in (trained, measured))
        learner = DenoisingLearner(tied(encoder, decoder), tokenizer, texts, self.deleted, work.seed)
        return self.adapt(
            work,
            learner,
            lambda: mean_loss(learner, [learner.framed(text) for text in probe[:512]]),
            lambda: save_model(encoder, tokenizer, parent, work.out),
        )


def tied(encoder: Any, decoder: Any) -> Any:
    """Both in one module, the decoder's layers using the encoder's own tensors wherever it has them."""
    import torch

    modules = dict(decoder.base_model.named_modules())
    for name, parameter in encoder.named_parameters():
        place, _, leaf = name.rpartition(".")
        if place in modules and leaf in modules[place]._parameters:
            setattr(modules[place], leaf, parameter)
    decoder.tie_weights()

    class Pair(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = encoder, decoder

    return Pair()


def damaged(text: Sequence[int], share: float, example: tuple[int, int, int]) -> list[int]:
    """What is left of token ids when a share of them is deleted; at least one. A function of (seed, epoch, index)."""
    keep = np.random.default_rng(example).random(len(text)) >= share
    if not keep.any():
        keep[int(np.random.default_rng(example).integers(len(text)))] = True
    return [token for token, kept in zip(text, keep, strict=True) if kept]


class DenoisingLearner(Learner):
    """Pieces of text, each with a damaged copy an epoch."""

    def __init__(self, model: Any, tokenizer: Any, texts: Sequence[list[int]], share: float, seed: int) -> None:
        self.model, self.tokenizer, self.share, self.seed = model, tokenizer, share, seed
        self.before, self.after = affixes(tokenizer)
        self.texts = [self.framed(text) for text in texts]
        self.lengths = [len(text) for text in self.texts]

    def framed(self, text: Sequence[int]) -> list[int]:
        return [*self.before, *text, *self.after]

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.batch(self.texts, indices, epoch)

    def batch(self, texts: Sequence[list[int]], indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        first, last = len(self.before), len(self.after)
        noisy = []
        for i in indices:
            inner = texts[i][first : len(texts[i]) - last]
            noisy.append(self.framed(damaged(inner, self.share, (self.seed, epoch, i))))
        whole = [texts[i] for i in indices]
        pad = self.tokenizer.pad_token_id
        return {
            "noisy_ids": padded(noisy, pad),
            "noisy_mask": padded([[1] * len(row) for row in noisy], 0),
            "input_ids": padded(whole, pad),
            "attention_mask": padded([[1] * len(row) for row in whole], 0),
            "labels": padded(whole, IGNORED_LABEL),
        }

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from transferline.models.networks.pooling import mean_of_tokens

        read = self.model.encoder(input_ids=batch["noisy_ids"], attention_mask=batch["noisy_mask"])
        meaning = mean_of_tokens(read.last_hidden_state, batch["noisy_mask"]).unsqueeze(1)
        return self.model.decoder(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            encoder_hidden_states=meaning,
            labels=batch["labels"],
            use_cache=False,
        ).loss
