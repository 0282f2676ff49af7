"""A frozen encoder of which any layers are read, each pooled by the mean, all set side by side, under one linear layer.

Devlin et al., "BERT" (2019), table 7: the concatenation of the last four layers is nearly as good as fine-tuning. Layer 0 is the
embeddings, so that `layers: [0]` is the base as static embeddings.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config, mean_of_tokens


class LayeredConfig(PreTrainedConfig):
    """The encoder's own config, and which of its hidden states are read."""

    model_type = "transferline-layered"

    encoder: dict[str, Any] | None = None
    layers: list[int] | None = None


class LayeredForSequenceClassification(PreTrainedModel):
    """Hidden states of some layers, pooled and concatenated, and a linear layer."""

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
        """The encoder brings its weights; the linear layer keeps torch's own start."""

    def forward(self, attention_mask: Any = None, labels: Any = None, **inputs: Any) -> SequenceClassifierOutput:
        states = self.encoder(attention_mask=attention_mask, output_hidden_states=True, **inputs).hidden_states
        pooled = torch.cat([mean_of_tokens(states[layer], attention_mask) for layer in self.layers], dim=-1)
        return classified(self.config, self.classifier(pooled), labels)
