"""Prompt tuning: freeze the weights and train a few virtual tokens in front of every text.

Lester et al., "The Power of Scale for Parameter-Efficient Prompt Tuning" (2021), section 2. The virtual tokens are real entries of
the vocabulary. The tokenizer puts them in front of every text, and peft trains their embeddings only. After merging, the result
is an ordinary model with a slightly larger vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import FROZEN_WEIGHTS, Backward, Prior, Size, StepTexts
from transferline.core.problem import TargetKind
from transferline.core.stage import Work
from transferline.methods.parameter.merging import merged, wrapped
from transferline.methods.parameter.tuning import FineTuning
from transferline.models.added_tokens import add_tokens, start_every_text_with
from transferline.targets import Target
from transferline.targets.target import Examples
from transferline.training.learner import Schedule


class Prompt(FineTuning):
    """Train the embeddings of virtual tokens in front of every text."""

    source: ClassVar[str] = "Lester et al. 2021, section 2"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")
    prior: ClassVar[Prior] = Prior(below_full=0.05)

    method: Literal["prompt"] = "prompt"
    tokens: Annotated[int, Field(ge=1)] = 16
    """number of virtual tokens"""
    schedule: Schedule = Schedule(batch_size=16, learning_rate=5e-3)

    def names(self) -> list[str]:
        """The virtual tokens as strings."""
        return [f"[PROMPT{i}]" for i in range(self.tokens)]

    def network(self, size: Size, tokens: StepTexts) -> Size:
        size = super().network(size, tokens)
        return replace(size, prefix=size.prefix + self.tokens)

    def backward(self, size: Size, epoch: int) -> Backward:
        return FROZEN_WEIGHTS

    def prepare(self, tokenizer: Any) -> Any:
        tokenizer.add_special_tokens({"additional_special_tokens": self.names()})
        return start_every_text_with(tokenizer, self.names())

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        from transferline.models.tokenization import load_tokenizer

        model = super().load(target, work, pretrained)
        tokenizer = load_tokenizer(work.needs_parent())
        add_tokens(model, tokenizer, self.names(), seed=work.seed)
        return model

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        from peft import TrainableTokensConfig

        ids = train.tokenizer.convert_tokens_to_ids(self.names())
        name = next(n for n, m in model.named_modules() if m is model.get_input_embeddings())
        return wrapped(model, TrainableTokensConfig(token_indices=ids, target_modules=[name]), target)

    def finish(self, model: Any) -> Any:
        return merged(model)
