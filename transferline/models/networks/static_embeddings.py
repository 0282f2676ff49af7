"""Static embeddings as a model: one vector per token, independent of its context.

Compared with a sentence encoder, such a model shows the value of context, as word2vec and GloVe do. The classifier is one linear
layer on the mean over tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from transferline.models.networks.pooling import classified, mean_of_tokens


class StaticConfig(PreTrainedConfig):
    """Size of the embedding table."""

    model_type = "transferline-static"

    vocab_size: int = 32000
    hidden_size: int = 256
    pooling: str = "mean"
    num_hidden_layers: int = 0


class StaticModel(PreTrainedModel):
    """The embedding table with the interface of an encoder. Its only hidden state is the embeddings."""

    config_class = StaticConfig
    base_model_prefix = "static"

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.embedding = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.embedding

    def set_input_embeddings(self, value: Any) -> None:
        self.embedding = value

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **_: Any) -> BaseModelOutput:
        hidden = self.embedding(input_ids)
        return BaseModelOutput(last_hidden_state=hidden, hidden_states=(hidden,))


class StaticForSequenceClassification(PreTrainedModel):
    """A linear layer on the mean of the embeddings."""

    config_class = StaticConfig
    base_model_prefix = "static"

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.static = StaticModel(config)
        self.classifier = torch.nn.Linear(config.hidden_size, int(config.num_labels or 1))
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None, **_: Any
    ) -> SequenceClassifierOutput:
        hidden = self.static(input_ids).last_hidden_state
        return classified(self.config, self.classifier(mean_of_tokens(hidden, attention_mask)), labels)
