"""Cross-stitch networks: one encoder (column) per task, with a learned mixture of the columns after each layer.

Misra, Shrivastava, Gupta & Hebert, "Cross-stitch Networks for Multi-task Learning" (2016), section 4, equation 1. Every column
reads the same text. The next layer of task t receives sum_s alpha[layer, t, s] h_s. If alpha is the identity, the columns are
independent. The columns are post-norm encoders (BERT, RoBERTa, ELECTRA), because their layers can be called one by one.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config, mean_of_tokens


class CrossStitchConfig(PreTrainedConfig):
    """Config of one column, and the number of outputs of each task."""

    model_type = "transferline-cross-stitch"

    column: dict[str, Any] | None = None
    outputs: list[int] | None = None
    """outputs of each task, the target first"""
    kept: float = 0.9
    """initial alpha of a task's own column; the other columns share the rest"""


class CrossStitchForSequenceClassification(PreTrainedModel):
    """Columns, stitches of shape (layers, tasks, tasks), and for each task a linear layer on its mean-pooled column."""

    config_class = CrossStitchConfig
    base_model_prefix = "columns"

    def __init__(self, config: CrossStitchConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        inner = inner_config(config.column or {})
        inner._attn_implementation = (
            "eager"  # layers called one by one get an additive mask, which eager attention adds unchanged
        )
        outputs = list(config.outputs or [int(config.num_labels or 1)])
        tasks, depth = len(outputs), inner.num_hidden_layers
        self.columns = torch.nn.ModuleList(AutoModel.from_config(inner) for _ in outputs)
        rest = (1 - config.kept) / (tasks - 1) if tasks > 1 else 0.0
        start = torch.full((tasks, tasks), rest).fill_diagonal_(config.kept if tasks > 1 else 1.0)
        self.stitches = torch.nn.Parameter(start.repeat(depth, 1, 1))
        self.others = torch.nn.ModuleList(torch.nn.Linear(inner.hidden_size, wide) for wide in outputs[1:])
        self.classifier = torch.nn.Linear(inner.hidden_size, outputs[0])
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Do nothing: columns get loaded weights, and linear layers keep torch's default initialisation."""

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: Any = None,
        labels: Any = None,
        task: int = 0,
        token_type_ids: Any = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        states = self.states(input_ids, attention_mask, token_type_ids)[task]
        head = self.classifier if task == 0 else self.others[task - 1]
        logits = head(mean_of_tokens(states, attention_mask))
        return classified(self.config, logits, labels if task == 0 else None)

    def states(self, input_ids: torch.Tensor, attention_mask: Any = None, token_type_ids: Any = None) -> list[Any]:
        """Last hidden state of every column, (batch, tokens, width) each."""
        more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        columns: list[Any] = list(self.columns)
        hidden = [column.embeddings(input_ids=input_ids, **more) for column in columns]
        mask = None
        if attention_mask is not None:
            lowest = torch.finfo(hidden[0].dtype).min
            mask = (1.0 - attention_mask[:, None, None, :].to(hidden[0].dtype)) * lowest
        for depth, alpha in enumerate(self.stitches):
            outputs = torch.stack([c.encoder.layer[depth](h, mask) for c, h in zip(columns, hidden, strict=True)])
            hidden = list(
                torch.einsum("ts,sbnw->tbnw", alpha.to(outputs.dtype), outputs)
            )  # equation 1, for all tasks t
        return hidden
