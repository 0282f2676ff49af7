"""Heads of recurrent language models: tied softmax and classifiers."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import CausalLMOutput, SequenceClassifierOutput

from transferline.models.networks.pooling import classified, mean_of_tokens
from transferline.models.networks.recurrent import (
    AwdLstmConfig,
    AwdLstmModel,
    BiLmConfig,
    BiLmModel,
    RecurrentConfig,
    RecurrentModel,
    started,
)

CLASSIFIER = 50  # width of the classifier's hidden layer (ULMFiT's released code)


class _Recurrent(PreTrainedModel):
    """A recurrent encoder with a head. The head's own parameters start at zero, and `gamma` at one."""

    base_model_prefix = "recurrent"

    def _init_weights(self, module: torch.nn.Module) -> None:
        if module is self:
            for name, parameter in self.named_parameters(recurse=False):
                init.constant_(parameter, float(name == "gamma"))
        elif not started(module):
            super()._init_weights(module)


class _TiedSoftmax(_Recurrent):
    """Output layer that shares the embedding matrix and adds a bias."""

    encoder: ClassVar[type[RecurrentModel]]

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.recurrent = self.encoder(config)
        self.bias = torch.nn.Parameter(torch.zeros(config.vocab_size))
        self.post_init()

    def expect(self, counts: torch.Tensor) -> None:
        """Start the bias at the log frequencies of the tokens, from their `counts`.

        Otherwise the hidden states learn the frequencies first, and little else. A trained bias is left alone.
        """
        if not self.bias.any():
            with torch.no_grad():
                self.bias.copy_(torch.log((counts + 1) / (counts + 1).sum()))

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits over the vocabulary, (batch, tokens, vocabulary)."""
        return torch.nn.functional.linear(hidden, self.recurrent.embedding.weight, self.bias)


class AwdLstmForCausalLM(_TiedSoftmax):
    """Predict the next token."""

    config_class = AwdLstmConfig
    encoder = AwdLstmModel

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None, **_: Any
    ) -> CausalLMOutput:
        logits = self.logits(self.recurrent(input_ids, attention_mask).last_hidden_state)
        return CausalLMOutput(loss=None if labels is None else surprise(logits[:, :-1], labels[:, 1:]), logits=logits)


class BiLmForCausalLM(_TiedSoftmax):
    """Predict the next token from the left and the previous token from the right.

    The loss is the mean of both directions (Peters et al. 2018, equation 1). The logits are those of the forward direction.
    """

    config_class = BiLmConfig
    encoder = BiLmModel

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None, **_: Any
    ) -> CausalLMOutput:
        ahead, back = self.recurrent(input_ids, attention_mask).last_hidden_state.chunk(2, dim=-1)
        following = self.logits(ahead)
        if labels is None:
            return CausalLMOutput(logits=following)
        previous = self.logits(back)
        loss = (surprise(following[:, :-1], labels[:, 1:]) + surprise(previous[:, 1:], labels[:, :-1])) / 2
        return CausalLMOutput(loss=loss, logits=following)


def surprise(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over tokens, in fp32. Labels of -100 are ignored."""
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), ignore_index=-100)


class AwdLstmForSequenceClassification(_Recurrent):
    """ULMFiT's classifier: last state, maximum and mean over tokens, concatenated (Howard & Ruder 2018, section 3.3).

    A hidden layer and a linear layer follow. The paper uses batch normalisation. Here it is layer normalisation, which also works
    with a single text. With `pooling: mean` there is only a linear layer on the mean.
    """

    config_class = AwdLstmConfig

    def __init__(self, config: AwdLstmConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.recurrent = AwdLstmModel(config)
        own, wide = config.pooling == "own", config.hidden_size
        hidden = torch.nn.Linear(3 * wide, CLASSIFIER), torch.nn.ReLU(), torch.nn.Dropout(0.1)
        self.hidden = torch.nn.Sequential(torch.nn.LayerNorm(3 * wide), *hidden) if own else torch.nn.Identity()
        self.classifier = torch.nn.Linear(CLASSIFIER if own else wide, int(config.num_labels or 1))
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None, **_: Any
    ) -> SequenceClassifierOutput:
        states = self.recurrent(input_ids, attention_mask).last_hidden_state
        pooled = mean_of_tokens(states, attention_mask)
        if self.config.pooling == "own":
            pooled = torch.cat([_last(states, attention_mask), _highest(states, attention_mask), pooled], dim=-1)
        return classified(self.config, self.classifier(self.hidden(pooled)), labels)


class BiLmForSequenceClassification(_Recurrent):
    """A linear layer on the mean-pooled ELMo mixture of layers, gamma sum_j softmax(s)_j h_j (Peters et al. 2018, section 3.2)."""

    config_class = BiLmConfig

    def __init__(self, config: BiLmConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.recurrent = BiLmModel(config)
        self.shares = torch.nn.Parameter(torch.zeros(config.num_hidden_layers + 1))
        self.gamma = torch.nn.Parameter(torch.ones(1))
        self.classifier = torch.nn.Linear(config.hidden_size, int(config.num_labels or 1))
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None, **_: Any
    ) -> SequenceClassifierOutput:
        states = self.recurrent(input_ids, attention_mask).hidden_states
        mixed = self.gamma * torch.einsum("l,lbtw->btw", self.shares.softmax(0), torch.stack(states))
        return classified(self.config, self.classifier(mean_of_tokens(mixed, attention_mask)), labels)


def _last(states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """State of the last token of each text, (batch, width)."""
    if mask is None:
        return states[:, -1]
    ends = (mask.sum(dim=1) - 1).clamp(min=0)
    return states[torch.arange(len(states), device=states.device), ends]


def _highest(states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Maximum over the tokens that are not padding, (batch, width)."""
    if mask is None:
        return states.amax(dim=1)
    return states.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(states.dtype).min).amax(dim=1)
