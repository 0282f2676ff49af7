"""Vocabulary extension: add frequent words of the domain to the vocabulary.

A word that the tokenizer splits into many pieces costs tokens and has no embedding of its own. The most frequent of these words are
added, and each embedding is initialised with the mean of its pieces (Hewitt, "Initializing New Word Embeddings for Pretrained
Language Models", 2021; for domains Hong et al., "AVocaDo", 2021). Put a pretraining objective after this stage to train them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from transferline.core.flops import Size, StepTexts
from transferline.core.problem import Ability
from transferline.core.stage import Progress, Work
from transferline.data.prepared_files import read_texts
from transferline.methods.objectives.objective import FromText, opened
from transferline.models.added_tokens import add_tokens
from transferline.models.families import family_of
from transferline.models.weights import load_model, save_model

_WORD = re.compile(r"[^\W\d_]{4,}")


class Vocabulary(FromText):
    """Add frequent domain words that the tokenizer splits into pieces."""

    source: ClassVar[str] = "Hewitt 2021; Hong et al. 2021"
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["vocabulary"] = "vocabulary"
    words: Annotated[int, Field(ge=1)] = 500
    """maximum number of words to add"""
    pieces: Annotated[int, Field(ge=2)] = 3
    """minimum number of pieces that the tokenizer splits a word into"""
    least: Annotated[int, Field(ge=1)] = 5
    """minimum number of times that a word occurs in the text"""

    def flops(self, size: Size, tokens: StepTexts) -> float:
        return 0.0  # nothing is trained, and no text is read by the network

    def leaves(self, size: Size, tokens: StepTexts) -> Size:
        return replace(size, vocabulary=size.vocabulary + self.words)

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        model = _with_its_head(parent, work.seed)
        texts = read_texts(self.file(work))
        new = domain_words(tokenizer, texts, self.words, self.pieces, self.least)
        before = _tokens_a_word(tokenizer, texts)
        add_tokens(model, tokenizer, new)
        tokenizer.add_tokens([_added(word) for word in new])
        work.report(Progress(work.name, 1, 1, "extensions", 0.0, {"new_words": float(len(new))}))
        save_model(model, tokenizer, parent, work.out)
        after = _tokens_a_word(tokenizer, texts)
        return {"new_words": float(len(new)), "tokens_a_word_before": before, "tokens_a_word": after}


def _with_its_head(folder: Path, seed: int) -> Any:
    """Load the model with its language model head, if it has one: the head has a row per word, which must grow too."""
    family = family_of(folder)
    heads = {"AutoModelForMaskedLM": "masked LM", "AutoModelForCausalLM": "causal LM"}
    for auto, ability in heads.items():
        if family.can(cast(Ability, ability)):
            model, new = load_model(auto, folder, seed)
            if not new:
                return model
    return load_model("AutoModel", folder, seed)[0]


def domain_words(tokenizer: Any, texts: Sequence[str], most: int, pieces: int, least: int) -> list[str]:
    """The words to add, sorted by the number of tokens that each saves in the texts."""
    lower = tokenizer.tokenize("A") == tokenizer.tokenize("a")  # an uncased tokenizer
    words = (word.lower() if lower else word for text in texts for word in _WORD.findall(text))
    counts = {word: count for word, count in Counter(words).items() if count >= least}
    # with a space: byte-level and SentencePiece vocabularies encode a word differently at the start of a text
    cut = {word: len(tokenizer.tokenize(" " + word)) for word in counts}
    costly = [word for word in counts if cut[word] >= pieces]
    return sorted(costly, key=lambda word: (-counts[word] * (cut[word] - 1), word))[:most]


def _added(word: str) -> Any:
    from tokenizers import AddedToken

    return AddedToken(word, single_word=True, lstrip=False, normalized=True)


def _tokens_a_word(tokenizer: Any, texts: Sequence[str], some: int = 2000) -> float:
    sample = texts[: min(some, len(texts))]
    ids = tokenizer(list(sample), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return sum(map(len, ids)) / max(1, sum(len(text.split()) for text in sample))
