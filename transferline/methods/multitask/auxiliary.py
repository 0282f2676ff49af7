"""Auxiliary language-model loss: train it together with the target's loss.

Radford et al., "Improving Language Understanding by Generative Pre-Training" (2018), section 3.2, L3 = L2 + lambda L1, and
Chronopoulou et al., "An Embarrassingly Simple Approach for Transfer Learning" (2019), section 3. Encoders use masked, decoders
causal language modelling. For a *labelled* auxiliary task use `hard-sharing` with a small weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.stage import Stage, Work
from transferline.data.blocks import pack, stream_of, tokenise
from transferline.data.prepared_files import read_texts
from transferline.methods.multitask.joint import MultitaskLearner, drawn_flops, tie
from transferline.methods.multitask.weighting import Fixed
from transferline.methods.objectives.causal import CausalLearner
from transferline.methods.objectives.masked import MaskedLearner, check_tokenizer
from transferline.methods.parameter.full import plain
from transferline.methods.parameter.tuning import FineTuning, TuningLearner
from transferline.models.families import family_of
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Learner

MASKED = 0.15  # share of tokens to predict (Devlin et al. 2019, section 3.1)


class Auxiliary(FineTuning):
    """Fine-tune with an auxiliary language-model loss on raw text."""

    source: ClassVar[str] = "Radford et al. 2018, section 3.2"

    method: Literal["auxiliary"] = "auxiliary"
    weight: Annotated[float, Field(ge=0)] = 0.5
    """weight of the language-model loss; the target's loss has weight 1"""
    text: Literal["corpus", "task"] = "task"
    """corpus: the domain's corpus, task: the target's training texts"""
    block: Annotated[int, Field(ge=8)] = 128
    """tokens in a packed block"""
    temperature: Annotated[float, Field(ge=1)] = 5.0
    """sampling temperature; 1: blocks are drawn in proportion to their number, higher: nearer to one block per example"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(("corpus",) if self.text == "corpus" else ()))

    def beside(self, size: Size, tokens: StepTexts) -> float:
        """FLOPs of an epoch on blocks of text, with a language model head."""
        read = tokens["corpus" if self.text == "corpus" else "train"]
        blocks = Lengths.alike(1 + int(read.tokens) // self.block, self.block)
        drawn = drawn_flops(self, size, tokens, [blocks])
        predicted = MASKED if size.shape == "encoder" else 1.0
        return drawn * (1 + 3 * size.head(predicted * self.block) / size.step(Lengths.alike(1, self.block)))

    def alone(self) -> Stage:
        return plain(self)

    @property
    def weighting(self) -> Fixed:
        """Fixed weights of the two losses."""
        return Fixed(method="fixed", others=self.weight)

    def finish(self, model: Any) -> Any:
        return model.models[0]

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        part = self._reader(work)
        tie(part.model, model)
        return MultitaskLearner(self, target, model, train, validation, others=[part], work=work)  # type: ignore[arg-type]

    def _reader(self, work: Work) -> Learner:
        parent = work.needs_parent()
        tokenizer, texts = load_tokenizer(parent), read_texts(work.data["corpus" if self.text == "corpus" else "train"])
        family = family_of(parent)
        if family.can("causal LM"):
            model, _ = load_model("AutoModelForCausalLM", parent, work.seed)
            return CausalLearner(
                model, stream_of(tokenise(tokenizer, _enough(texts, self.block)), self.block, tokenizer.eos_token_id)
            )
        family.admit("masked LM", "method 'auxiliary'")
        check_tokenizer(tokenizer, parent.name)
        model, new = load_model("AutoModelForMaskedLM", parent, work.seed)
        # no head warm-up, because the target's loss trains the encoder from the first step
        pair = tokenizer.cls_token_id, tokenizer.sep_token_id
        blocks = pack(tokenise(tokenizer, _enough(texts, self.block)), self.block, *pair)
        return MaskedLearner(model, tokenizer, blocks, probability=MASKED, seed=work.seed, new=new, head_warmup=0.0)


def _enough(texts: Sequence[str], block: int) -> list[str]:
    """Repeat the texts until they fill at least one block."""
    if not texts:
        raise InputError("method 'auxiliary'", "there is no text to read", "Declare a corpus, or use `text: task`")
    words = sum(len(text.split()) + 1 for text in texts)
    return list(texts) * (1 + block // words)
