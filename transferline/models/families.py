"""Model families and their abilities, derived from `model_type` and transformers' own tables.

If a recipe needs an ability that the base's family lacks, `plan` refuses it with the reason and with families that would do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transferline.core.errors import InputError
from transferline.core.problem import Ability
from transferline.models.architectures import table

Shape = Literal["encoder", "decoder", "encoder-decoder", "permuted", "static", "features", "recurrent"]

# families that have the ability, for the message that refuses another
EXAMPLES: dict[Ability, str] = {
    "masked LM": "bert, roberta, albert, electra, distilbert, deberta, modernbert",
    "next sentence": "bert",
    "causal LM": "gpt2, llama, qwen2, or a recurrent base",
    "permuted LM": "xlnet",
    "denoising": "bert, roberta, electra",
    "encode": "any text model except encoder-decoders",
    "rows": "a base declared with `method: features`",
    "classify": "any of bert, roberta, modernbert, gpt2, llama, t5",
    "tag": "bert, roberta, deberta, modernbert",
    "generate": "gpt2, llama, qwen2, t5, bart",
    "prefixes": "bert, roberta, gpt2, llama",
    "bottlenecks": "bert, roberta, deberta, gpt2, llama, t5",
}
STATIC = "transferline-static"
FEATURES = "transferline-features"
# encoders that accept keys and values from outside, as peft's prefix tuning passes them
_PREFIXED = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
# families whose feed-forward block keeps two projections in one matrix
_FUSED = ("modernbert", "phi3")
_RECURRENT = ("transferline-awd-lstm", "transferline-bilm")
_ENCODES = ("encoder", "decoder", "permuted", "static", "features", "recurrent")
_OFFSET = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
)  # positions begin after the pad token's
_OWN = ("static", "features", "recurrent")  # our own networks (networks/), unknown to transformers' tables


@dataclass(frozen=True)
class Family:
    """One architecture, by its `model_type`, and the number of positions of one model of it."""

    name: str
    positions: int | None = None
    """longest input in tokens, special ones included; None: not limited, or not known"""

    @property
    def shape(self) -> Shape:
        """Kind of network. Raises InputError for a type that transformers does not list as a text model."""
        # the order matters: BERT, for one, is in the table of masked LMs and in that of causal LMs
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
        mend = "Use a text encoder, a decoder or an encoder-decoder"
        raise InputError(f"family {self.name!r}", "transformers has no language model of that type", mend)

    @property
    def generator(self) -> str:
        """The auto class that generates text."""
        return "AutoModelForSeq2SeqLM" if self.two_sided else "AutoModelForCausalLM"

    @property
    def two_sided(self) -> bool:
        """Whether the model is an encoder-decoder."""
        return self.shape == "encoder-decoder"

    def can(self, ability: Ability) -> bool:
        """Whether the family has the ability."""
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
            case "denoising":  # TSDAE loads the encoder as the decoder too, so the family needs a causal class as well
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
            case "prefixes":
                return shape in ("decoder", "encoder-decoder") or self.name in _PREFIXED
            case "bottlenecks":  # the feed-forward block must consist of two matrices, or of three if it is gated
                return shape not in _OWN and self.name not in _FUSED

    def admit(self, ability: Ability, who: str) -> None:
        """Raise InputError if the family lacks an ability that `who` needs, for example "method 'masked'"."""
        if not self.can(ability):
            problem = f"asks for {ability}, which a base of the family {self.name!r} ({self.shape}) cannot do"
            others = [other for other in EXAMPLES if self.can(other)]
            mend = f"Use a base such as {EXAMPLES[ability]}, or a method for one of this base's abilities: {', '.join(others)}"
            raise InputError(who, problem, mend)


def family_of(folder: Path) -> Family:
    """The family of a model folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return Family(config["model_type"], _positions(config))


def _positions(config: dict[str, Any]) -> int | None:
    """Number of positions that a model has embeddings for, or was trained for. None for relative positions."""
    if config.get("relative_attention") and not config.get("position_biased_input", True):  # DeBERTa
        return None
    found = config.get("max_position_embeddings", config.get("n_positions"))
    if not isinstance(found, int) or found <= 0:
        return None
    return found - config.get("pad_token_id", 1) - 1 if config["model_type"] in _OFFSET else found
