"""Vocabulary extension: the domain's own words become tokens of their own.

A word that the base cuts into many pieces costs tokens and has no vector of its own. The most frequent of them are added, each
starting as the mean of its pieces (Hewitt, "Initializing New Word Embeddings for Pretrained Language Models", 2021; for domains
Hong et al., "AVocaDo", 2021). A new word means little until an objective has trained it: put one after this stage.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from transferline.core.problem import Ability
from transferline.core.stage import Progress, Work
from transferline.data.prepared_files import read_texts
from transferline.methods.objectives.objective import FromText, opened
from transferline.models.added_tokens import add_tokens
from transferline.models.families import family_of
from transferline.models.weights import load_model, save_model

_WORD = re.compile(r"[^\W\d_]{4,}")


class Vocabulary(FromText):
    """Add the domain's frequent words that the base has only in pieces."""

    source: ClassVar[str] = "Hewitt 2021; Hong et al. 2021"
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["vocabulary"] = "vocabulary"
    words: Annotated[int, Field(ge=1)] = 500
    """words to add at most"""
    pieces: Annotated[int, Field(ge=2)] = 3
    """a word is added if the base cuts it into so many pieces or more"""
    least: Annotated[int, Field(ge=1)] = 5
    """and if it stands so often in the text"""

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
    """The model with whatever language-model head its folder holds: a head has a row a word, too."""
    family = family_of(folder)
    heads = {"AutoModelForMaskedLM": "masked LM", "AutoModelForCausalLM": "causal LM"}
    for auto, ability in heads.items():
        if family.can(cast(Ability, ability)):
            model, new = load_model(auto, folder, seed)
            if not new:
                return model
    return load_model("AutoModel", folder, seed)[0]


def domain_words(tokenizer: Any, texts: Sequence[str], most: int, pieces: int, least: int) -> list[str]:
    """The words that cost most pieces in all: frequent ones that the tokenizer cuts finely, the costliest first."""
    lower = tokenizer.tokenize("A") == tokenizer.tokenize("a")
    words = (word.lower() if lower else word for text in texts for word in _WORD.findall(text))
    counts = {word: count for word, count in Counter(words).items() if count >= least}
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
