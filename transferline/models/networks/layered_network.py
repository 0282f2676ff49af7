"""Linear classifier on chosen hidden layers of a frozen encoder: mean-pooled, then concatenated.

Devlin et al., "BERT" (2019), table 7: the concatenation of the last four layers is nearly as good as fine-tuning. Layer 0 is the
embeddings, so `layers: [0]` uses the base as static embeddings.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config, mean_of_tokens


class LayeredConfig(PreTrainedConfig):
    """Config of the encoder, and the numbers of the hidden states to use."""

    model_type = "transferline-layered"

    encoder: dict[str, Any] | None = None
    layers: list[int] | None = None


class LayeredForSequenceClassification(PreTrainedModel):
    """A linear layer on the pooled and concatenated hidden states."""

    config_class = LayeredConfig
    base_model_prefix = "encoder"

    def __init__(self, config: LayeredConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        inner = inner_config(config.encoder or {})
        self.encoder = AutoModel.from_config(inner)
        self.layers = list(config.layers or [-1])
        self.classifier = torch.nn.Linear(len(self.layers) * inner.hidden_size, int(config.num_labels or 1))
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Do nothing: the encoder gets loaded weights, and the linear layer keeps torch's default initialisation."""

    def forward(self, attention_mask: Any = None, labels: Any = None, **inputs: Any) -> SequenceClassifierOutput:
        states = self.encoder(attention_mask=attention_mask, output_hidden_states=True, **inputs).hidden_states
        pooled = torch.cat([mean_of_tokens(states[layer], attention_mask) for layer in self.layers], dim=-1)
        return classified(self.config, self.classifier(pooled), labels)
