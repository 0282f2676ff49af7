"""Mean pooling and losses of the custom sequence classifiers."""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_outputs import SequenceClassifierOutput


def mean_of_tokens(hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean over the tokens that are not padding: (batch, tokens, width) -> (batch, width)."""
    if mask is None:
        return hidden.mean(dim=1)
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    # clamp: an empty text has the mean zero instead of NaN
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def classified(config: Any, logits: torch.Tensor, labels: torch.Tensor | None) -> SequenceClassifierOutput:
    """Wrap logits in an output and, given labels, add the loss for `config.problem_type`."""
    loss = None if labels is None else loss_of(config.problem_type, logits, labels)
    return SequenceClassifierOutput(loss=loss, logits=logits)


def loss_of(problem: str | None, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean loss of a batch for transformers' `problem_type`, in fp32 under any precision."""
    if problem == "regression":
        return torch.nn.functional.mse_loss(logits.squeeze(-1).float(), labels.float())
    if problem == "multi_label_classification":
        return torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels.float())
    return torch.nn.functional.cross_entropy(logits.float(), labels)


def inner_config(declared: dict[str, Any]) -> Any:
    """Build the config of an inner encoder from its dictionary, which holds a `model_type`."""
    from transformers import AutoConfig

    values = dict(declared)
    return AutoConfig.for_model(values.pop("model_type"), **values)
