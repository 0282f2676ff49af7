"""Upper bounds on floating-point operations: the size of a model, and the lengths of the texts that a step reads.

A forward pass costs 2 FLOPs per weight and token, and attention 4 more per layer, unit of width and position (Kaplan et al. 2020,
section 2.1). A backward pass costs as much again for the gradients of the weights, and as much again for those of the activations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from transferline.core.problem import TargetKind

PADDING = 1.25
"""allowance for padding: batches hold texts of similar length, and each is padded to the longest of its batch"""


@dataclass(frozen=True, eq=False)
class Lengths:
    """Lengths in tokens of some texts, (texts,)."""

    lengths: np.ndarray

    @classmethod
    def alike(cls, count: int, length: int) -> Lengths:
        """Texts of equal length."""
        return cls(np.full(count, float(length)))

    @classmethod
    def joined(cls, parts: Iterable[Lengths]) -> Lengths:
        """Texts of several files together."""
        return cls(np.concatenate([np.zeros(0), *(part.lengths for part in parts)]))

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def tokens(self) -> float:
        """Tokens of all texts."""
        return float(self.lengths.sum())

    @cached_property
    def squares(self) -> float:
        """Sum of squared lengths, to which the cost of attention is proportional."""
        return float((self.lengths**2).sum())

    def cut(self, most: int) -> Lengths:
        """The texts, each truncated to `most` tokens."""
        return Lengths(np.minimum(self.lengths, most))

    def longer(self, tokens: int) -> Lengths:
        """The texts with so many tokens more in each."""
        return Lengths(self.lengths + tokens)

    def longest(self, count: int) -> Lengths:
        """The longest texts: an upper bound on any selection of `count` texts."""
        return Lengths(np.sort(self.lengths)[::-1][:count])

    def padded(self, batch: float) -> Lengths:
        """The texts as padded in random batches: each has the expected length of the longest of `batch` texts."""
        count = len(self)
        if not count:
            return self
        shares = np.diff((np.arange(count + 1) / count) ** max(1.0, batch))
        return Lengths(np.full(count, float((shares * np.sort(self.lengths)).sum())))


@dataclass(frozen=True)
class Backward:
    """The part of a network that a backward pass computes: shares, 0 to 1, of weights and of activations with a gradient."""

    weights: float = 1.0
    activations: float = 1.0


ALL, FROZEN_WEIGHTS, NOTHING = Backward(), Backward(0.0, 1.0), Backward(0.0, 0.0)


@dataclass(frozen=True)
class Size:
    """The properties of a model that decide its cost."""

    weights: float
    """weights in matrix products, without the vocabulary's"""
    layers: float = 0.0
    width: float = 0.0
    vocabulary: float = 0.0
    """number of words that a language model head predicts"""
    shape: str = "encoder"
    """kind of network, as in models/families.py"""
    places: int = 1
    """positions of one row of numbers: of an image its patches or pixels"""
    prefix: int = 0
    """virtual tokens in front of every text"""
    keys: int = 0
    """keys and values that are added to the attention of every layer"""
    writes: int = 0
    """tokens that the model generates for each text, at most"""

    @property
    def inner(self) -> float:
        """Inner width of the feed-forward blocks, if the other weights are four square matrices in each layer."""
        return max(0.0, self.per_layer - 4 * self.width**2) / (2 * self.width) if self.width else 0.0

    @property
    def per_layer(self) -> float:
        """Weights of one layer."""
        return self.weights / self.layers if self.layers else self.weights

    def with_layers(self, layers: float) -> Size:
        """The same model with another number of layers."""
        return replace(self, layers=layers, weights=self.per_layer * layers) if self.layers else self

    def mean_pooled(self) -> Size:
        """The model with mean pooling, which encoders have as one more layer (models/heads.py)."""
        return self.with_layers(self.layers + 1) if self.shape == "encoder" else self

    def seen(self, texts: Lengths) -> Lengths:
        """The positions that the model computes for texts."""
        if self.places > 1:
            return Lengths(texts.lengths * self.places)
        return texts.longer(self.prefix + self.writes)

    def forward(self, texts: Lengths) -> float:
        """FLOPs of one forward pass over texts, without padding."""
        return self._products(self.seen(texts)) + self._attention(self.seen(texts)) + self._written(texts)

    def step(self, texts: Lengths, backward: Backward = ALL) -> float:
        """FLOPs of a training step over texts: forward and backward."""
        seen = self.seen(texts)
        products, attention = self._products(seen), self._attention(seen)
        # attention multiplies two activations, each with a gradient: twice the forward pass
        gradients = backward.weights * products + backward.activations * (products + 2 * attention)
        return products + attention + gradients + 3 * self._written(texts)

    def head(self, tokens: float) -> float:
        """FLOPs of a language model head on so many tokens: a dense layer, and the product with the vocabulary."""
        return 2 * tokens * self.width * (self.vocabulary + self.width)

    def _products(self, seen: Lengths) -> float:
        return 2 * self.weights * seen.tokens

    def _attention(self, seen: Lengths) -> float:
        return 4 * self.layers * self.width * (seen.squares + self.keys * seen.tokens)

    def _written(self, texts: Lengths) -> float:
        return self.head(self.seen(texts).tokens) if self.writes else 0.0


@dataclass(frozen=True)
class StepTexts:
    """The texts that a step reads, by role (train, validation, corpus, test, reviews/train ...)."""

    texts: Mapping[str, Lengths]
    parents: tuple[Size, ...] = ()
    """sizes of the models that the step is built on, in the order of its parents"""
    kind: TargetKind = "single-label"

    def __getitem__(self, role: str) -> Lengths:
        return self.texts[role]

    def sources(self) -> list[Lengths]:
        """The training texts of each source task."""
        return [texts for role, texts in self.texts.items() if role.endswith("/train")]

    def cut(self, most: int) -> StepTexts:
        """The same texts, each truncated to `most` tokens."""
        return replace(self, texts={role: texts.cut(most) for role, texts in self.texts.items()})

    def longest(self, most: int) -> int:
        """Length of the longest text, at most `most`. Returns `most` if the texts are not known."""
        return int(min(most, max((texts.lengths.max(initial=0) for texts in self.texts.values()), default=most)))

    def every(self) -> Lengths:
        """All texts together."""
        return Lengths.joined(self.texts.values())


@dataclass(frozen=True)
class Prior:
    """What published results let expect of a method before anything is trained. Scores are between 0 and 1."""

    below_full: float = 0.0
    """loss against full fine-tuning"""
    frozen: bool = False
    """whether the result is a model on frozen features, which a probe measures in advance"""
    source_probe: str = "pooled"
    """the probe of the diagnosis that measures the effect of source examples: pooled or coral"""
    source_share: float = 0.5
    """share of that probe's gain to expect: 1 where the method uses the source as the probe does"""
    new_head: float = 0.0
    """loss from a language model objective on a base without a head for it, which then gets a random one"""
