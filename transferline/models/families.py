"""Families of base models: what each can be asked to do. Known from the `model_type` of a config, by transformers' own tables.

A recipe that asks a base for what its family cannot do is refused by `plan`, with the reason and what would do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transferline.core.errors import InputError
from transferline.core.problem import Ability
from transferline.models.architectures import table

Shape = Literal["encoder", "decoder", "encoder-decoder", "permuted", "static", "features", "recurrent"]

EXAMPLES: dict[Ability, str] = {
    "masked LM": "bert, roberta, albert, electra, distilbert, deberta, modernbert",
    "next sentence": "bert",
    "causal LM": "gpt2, llama, qwen2, or a recurrent one",
    "permuted LM": "xlnet",
    "denoising": "bert, roberta, electra",
    "encode": "any text model that is not an encoder-decoder",
    "rows": "one declared with `method: features`",
    "classify": "any of bert, roberta, modernbert, gpt2, llama, t5",
    "tag": "bert, roberta, deberta, modernbert",
    "generate": "gpt2, llama, qwen2, t5, bart",
    "prefixes": "bert, roberta, gpt2, llama",
    "bottlenecks": "bert, roberta, deberta, gpt2, llama, t5",
}
STATIC = "transferline-static"
FEATURES = "transferline-features"
_PREFIXED = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_FUSED = ("modernbert", "phi3")
_RECURRENT = ("transferline-awd-lstm", "transferline-bilm")
_ENCODES = ("encoder", "decoder", "permuted", "static", "features", "recurrent")
_OWN = ("static", "features", "recurrent")


@dataclass(frozen=True)
class Family:
    """One architecture, by its `model_type`."""

    name: str

    @property
    def shape(self) -> Shape:
        """What kind of network it is. Raises InputError where transformers does not know it as a text model."""
        if self.name == STATIC:
            return "static"
        if self.name == FEATURES:
            return "features"
        if self.name in _RECURRENT:
            return "recurrent"
        if self.name in table("SEQ_TO_SEQ_CAUSAL_LM"):
            return "encoder-decoder"
        if self.name in table("MASKED_LM"):
            return "encoder"
        if self.name == "xlnet":
            return "permuted"
        if self.name in table("CAUSAL_LM"):
            return "decoder"
        mend = "Use a text encoder, decoder or encoder-decoder"
        raise InputError(f"family {self.name!r}", "transformers has no language model of that type", mend)

    @property
    def generator(self) -> str:
        """The auto class that generates text."""
        return "AutoModelForSeq2SeqLM" if self.two_sided else "AutoModelForCausalLM"

    @property
    def two_sided(self) -> bool:
        """Whether an encoder reads and a decoder writes."""
        return self.shape == "encoder-decoder"

    def can(self, ability: Ability) -> bool:
        """Whether the family can be asked for that."""
        shape = self.shape
        match ability:
            case "masked LM":
                return shape == "encoder"
            case "next sentence":
                return self.name in table("NEXT_SENTENCE_PREDICTION")
            case "causal LM":
                return shape in ("decoder", "recurrent")
            case "permuted LM":
                return shape == "permuted"
            case "denoising":  # the encoder doubles as the decoder, so both tables must have it
                return shape == "encoder" and self.name in table("CAUSAL_LM")
            case "encode":
                return shape in _ENCODES
            case "classify":
                return shape in _OWN or self.name in table("SEQUENCE_CLASSIFICATION")
            case "rows":
                return shape == "features"
            case "tag":
                return self.name in table("TOKEN_CLASSIFICATION")
            case "generate":
                return shape in ("decoder", "encoder-decoder")
            case "prefixes":  # of the encoders, those that take keys and values from outside
                return shape in ("decoder", "encoder-decoder") or self.name in _PREFIXED
            case "bottlenecks":  # the feed-forward block must be two plain matrices (or three, gated)
                return shape not in _OWN and self.name not in _FUSED

    def admit(self, ability: Ability, who: str) -> None:
        """Raise InputError where `who` asks for what this family cannot do."""
        if not self.can(ability):
            what = f"asks for {ability}, which a base of the family {self.name!r} ({self.shape}) cannot do"
            others = [other for other in EXAMPLES if self.can(other)]
            mend = f"Use a base such as {EXAMPLES[ability]}, or a method for what this one can: {', '.join(others)}"
            raise InputError(who, what, mend)


def family_of(folder: Path) -> Family:
    """The family of a model folder."""
    return Family(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
