"""Progressive network: a frozen source column, a new column, and lateral connections from the source to the new column.

Rusu et al., "Progressive Neural Networks" (2016), section 2, equation 2: layer i of the new column receives its own layer below
and, through an adapter (projection, non-linearity, projection), the source column's layer below. The source column never changes,
so nothing is forgotten. The new column is a narrow transformer of torch's own layers.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config, mean_of_tokens


class ProgressiveConfig(PreTrainedConfig):
    """Config of the source column, and the size of the new column."""

    model_type = "transferline-progressive"

    column: dict[str, Any] | None = None
    width: int = 64
    heads: int = 4


class ProgressiveForSequenceClassification(PreTrainedModel):
    """Frozen source column, new column, lateral adapters, and a linear layer on the mean-pooled new column."""

    config_class = ProgressiveConfig
    base_model_prefix = "source"

    def __init__(self, config: ProgressiveConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        inner = inner_config(config.column or {})
        self.source = AutoModel.from_config(inner)
        depth, width = inner.num_hidden_layers, config.width
        # one lateral more than layers: the new column gets the source's embeddings through the first one
        self.laterals = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.Linear(inner.hidden_size, width), torch.nn.GELU(), torch.nn.Linear(width, width)
            )
            for _ in range(depth + 1)
        )
        self.blocks = torch.nn.ModuleList(
            torch.nn.TransformerEncoderLayer(width, config.heads, 4 * width, activation="gelu", batch_first=True)
            for _ in range(depth)
        )
        self.classifier = torch.nn.Linear(width, int(config.num_labels or 1))
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Do nothing: the source gets loaded weights, and the rest keeps torch's default initialisation."""

    def train(self, mode: bool = True) -> ProgressiveForSequenceClassification:
        """Set the mode of the new column. The frozen source column stays in evaluation mode, without dropout."""
        super().train(mode)
        self.source.eval()
        return self

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None, **more: Any
    ) -> SequenceClassifierOutput:
        with torch.no_grad():
            states = self.source(
                input_ids, attention_mask=attention_mask, output_hidden_states=True, **more
            ).hidden_states
        padding = None if attention_mask is None else attention_mask == 0
        hidden = self.laterals[0](states[0])
        for block, lateral, state in zip(self.blocks, self.laterals[1:], states[1:], strict=True):
            hidden = block(hidden, src_key_padding_mask=padding) + lateral(state)
        return classified(self.config, self.classifier(mean_of_tokens(hidden, attention_mask)), labels)
