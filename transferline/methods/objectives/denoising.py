"""TSDAE: a denoising auto-encoder that reconstructs a sentence from the pooled vector of a damaged copy.

Wang, Reimers & Gurevych, "TSDAE" (2021), section 3: 60 % of the tokens are deleted, the encoder pools the rest into one vector,
and a decoder reconstructs the full sentence from that vector only. Encoder and decoder share all weights except the decoder's
cross attention, which is discarded afterwards. Useful for sentence encoders with a SimCSE loss close to zero already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.problem import IGNORED_LABEL, Ability, TargetKind
from transferline.core.stage import Work
from transferline.data.blocks import affixes, held_out, padded, pieces, tokenise
from transferline.methods.objectives.objective import Objective, mean_loss, opened
from transferline.models.weights import load_model, save_model
from transferline.training.learner import Learner, Schedule

if TYPE_CHECKING:
    import torch


class Denoising(Objective):
    """Adapt a sentence encoder as a denoising auto-encoder."""

    source: ClassVar[str] = "Wang et al. 2021, section 3"
    ability: ClassVar[Ability | None] = "denoising"

    method: Literal["tsdae"] = "tsdae"
    deleted: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """share of tokens to delete from the encoder's input"""
    piece: Annotated[int, Field(ge=8)] = 48
    """maximum length of a piece of a document, in tokens"""
    tokens: Annotated[int, Field(ge=1)] = 500_000
    schedule: Schedule = Schedule(batch_size=16, learning_rate=3e-5)

    def longest_input(self, kind: TargetKind) -> int:
        return self.piece

    def longest(self, tokens: StepTexts) -> int:
        return tokens.longest(self.piece)

    def step_flops(self, size: Size, example: Lengths) -> float:
        # The encoder reads what is left. Of the decoder's cross attention each token computes queries and outputs: the pooled
        # vector is the only key and value.
        encoder = size.step(Lengths((1 - self.deleted) * example.lengths))
        crossing = 3 * 2 * 2 * size.layers * size.width**2 * example.tokens
        return encoder + size.step(example) + crossing + 3 * size.head(example.tokens)

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
    """Put both in one module, and make the decoder share every parameter that the encoder has under the same name."""
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
    """Delete a share of the token ids at random, and keep at least one. `example` is (seed, epoch, index)."""
    keep = np.random.default_rng(example).random(len(text)) >= share
    if not keep.any():
        keep[int(np.random.default_rng(example).integers(len(text)))] = True
    return [token for token, kept in zip(text, keep, strict=True) if kept]


class DenoisingLearner(Learner):
    """Learner on pieces of text, each with a new damaged copy every epoch."""

    def __init__(self, model: Any, tokenizer: Any, texts: Sequence[list[int]], share: float, seed: int) -> None:
        self.model, self.tokenizer, self.share, self.seed = model, tokenizer, share, seed
        self.before, self.after = affixes(tokenizer)
        self.texts = [self.framed(text) for text in texts]
        self.lengths = [len(text) for text in self.texts]

    def framed(self, text: Sequence[int]) -> list[int]:
        """Add the tokenizer's special tokens around token ids."""
        return [*self.before, *text, *self.after]

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return self.batch(self.texts, indices, epoch)

    def batch(self, texts: Sequence[list[int]], indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        first, last = len(self.before), len(self.after)
        noisy = []
        for i in indices:
            inner = texts[i][first : len(texts[i]) - last]
            noisy.append(self.framed(damaged(inner, self.share, (self.seed, epoch, i))))
        originals = [texts[i] for i in indices]
        pad = self.tokenizer.pad_token_id
        return {
            "noisy_ids": padded(noisy, pad),
            "noisy_mask": padded([[1] * len(row) for row in noisy], 0),
            "input_ids": padded(originals, pad),
            "attention_mask": padded([[1] * len(row) for row in originals], 0),
            "labels": padded(originals, IGNORED_LABEL),
        }

    def units(self, indices: Sequence[int], epoch: int) -> dict[str, float]:
        """Number of tokens that are predicted: all but the first of each text."""
        return {"": float(sum(len(self.texts[i]) - 1 for i in indices))}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from transferline.models.networks.pooling import mean_of_tokens

        read = self.model.encoder(input_ids=batch["noisy_ids"], attention_mask=batch["noisy_mask"])
        pooled = mean_of_tokens(read.last_hidden_state, batch["noisy_mask"]).unsqueeze(1)
        return self.model.decoder(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            encoder_hidden_states=pooled,
            labels=batch["labels"],
            use_cache=False,
        ).loss
