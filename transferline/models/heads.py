"""Classification heads with mean or first-token pooling, in models that transformers alone can load and serve.

Most classification heads read the first token. Sentence encoders represent a text by the *mean* over its tokens, and a probe on
the first token loses much of that. BERT-type models in transformers have no option for mean pooling, and custom code would have
to be deployed with every served model. So mean pooling is written as one more layer of the same architecture, with fixed weights:

* Queries and keys are zero, so attention is uniform over the tokens that are not padding.
* Values are the identity, and the output projection is `_MEAN_SCALE` times the identity. After the residual connection and the
  layer norm (which ignores scale), every position holds LayerNorm(mean of the tokens), up to 1 / _MEAN_SCALE.
* The feed-forward part is zero, so the second layer norm repeats the first.

The layer is never trained. The served model is an ordinary BERT with one more layer. In this package the layer is computed as a
mean, without its matrix products.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal

from transferline.core.errors import InputError
from transferline.models.weights import load_config, load_headed

Pooling = Literal["mean", "first"]
"""first: the family's own pooling, which is the first token (decoders: the last token, T5: the end token)"""

_POST_NORM = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "electra",
)  # post-norm layers, as the pooling layer needs them
# families with an option for mean pooling: name in the config, value
_NATIVE = {
    "modernbert": ("classifier_pooling", "mean"),
    "xlnet": ("summary_type", "mean"),
    "transferline-static": ("pooling", "mean"),
    "transferline-features": ("pooling", "mean"),
    "transferline-awd-lstm": ("pooling", "mean"),
    "transferline-bilm": ("pooling", "mean"),
}
_MEAN_SCALE = 1e4  # the residual's share becomes 1e-4: below bf16's resolution and far above fp32's
_DENSE_SCALE = (
    0.5  # the head's dense layer starts as half the identity, so that tanh is nearly linear on normalised input
)


def load_classifier(
    folder: Path,
    labels: list[str],
    pooling: Pooling,
    seed: int,
    pretrained: bool = True,
    problem: str = "single_label_classification",
) -> Any:
    """Load a sequence classifier over `labels` on the weights of `folder`, or with random weights of the same shape.

    `seed` initialises the new parameters. `problem` is transformers' `problem_type`. The names of parameters that must never be
    trained are in the model's `always_frozen`. Raises InputError if the family has no mean pooling.
    """
    config = load_config(folder)
    appended = pooling == "mean" and _ask_for_mean(config, folder.name)
    config.problem_type = problem
    model = load_headed("AutoModelForSequenceClassification", folder, seed, pretrained, labels, config)
    model.always_frozen = _set_mean_layer(model) if appended else frozenset()
    return model


def check_pooling(family: str, pooling: Pooling, who: str) -> None:
    """Raise InputError if a family does not support a pooling."""
    if pooling == "mean" and family not in (*_POST_NORM, *_NATIVE):
        mend = "Set `pooling: first`, the family's own pooling, in this recipe's `tune`"
        raise InputError(who, f"mean pooling is not supported for {family!r} models", mend)


def _ask_for_mean(config: Any, name: str) -> bool:
    """Change `config` to mean pooling. True if that needs the appended pooling layer."""
    family = config.model_type
    if family in _NATIVE:
        setattr(config, *_NATIVE[family])
        return False
    check_pooling(family, "mean", f"base {name}")
    config.num_hidden_layers += 1
    return True


def _set_mean_layer(model: Any) -> frozenset[str]:
    """Turn the last encoder layer into frozen mean pooling. Returns the names of its parameters."""
    import torch

    layer = model.base_model.encoder.layer[-1]
    # the fast form, on this instance only: a model that transformers loads computes the layer's products instead
    layer.forward = types.MethodType(_mean_of_tokens, layer)
    width = model.config.hidden_size
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
            parameter.requires_grad_(False)
        layer.attention.self.value.weight.copy_(torch.eye(width))
        layer.attention.output.dense.weight.copy_(_MEAN_SCALE * torch.eye(width))
        for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
        for module in layer.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # the mean is exact in training, too
        _start_dense_near_identity(model)
    owned = {id(parameter) for parameter in layer.parameters()}
    return frozenset(name for name, parameter in model.named_parameters() if id(parameter) in owned)


def _mean_of_tokens(layer: Any, hidden_states: Any, attention_mask: Any = None, *others: Any, **more: Any) -> Any:
    """Compute the pooling layer as a mean: (batch, tokens, width) -> the same shape.

    Every token gets the result of the first one, which is the token that heads read. The mask is (batch, tokens), or (batch, 1,
    queries, tokens) with booleans or with numbers that are added to the attention scores.
    """
    from transferline.models.networks.pooling import mean_of_tokens

    # prefix tuning adds keys and values, which take part in the attention's mean: only the real layer has that result
    if any(other is not None for other in (*others, more.get("past_key_values"))):
        return type(layer).forward(layer, hidden_states, attention_mask, *others, **more)
    visible = None
    if attention_mask is not None:
        row = attention_mask[:, 0, 0] if attention_mask.dim() == 4 else attention_mask
        visible = (row == 0) if row.is_floating_point() else row  # an additive mask is zero where a token is visible
    mean = mean_of_tokens(hidden_states, visible).unsqueeze(1)
    pooled = layer.attention.output.LayerNorm(hidden_states[:, :1] + _MEAN_SCALE * mean)
    return layer.output.LayerNorm(pooled).expand_as(hidden_states)


def _start_dense_near_identity(model: Any) -> None:
    """Reset the dense layer between encoder and output to half the identity: it was trained on another input, or is random."""
    import torch

    dense = getattr(getattr(model.base_model, "pooler", None), "dense", None)
    dense = dense if dense is not None else getattr(model.classifier, "dense", None)
    if dense is not None and dense.weight.shape[0] == dense.weight.shape[1]:
        dense.weight.copy_(_DENSE_SCALE * torch.eye(dense.weight.shape[0]))
        dense.bias.zero_()


def output_layer(model: Any) -> Any:
    """The last linear layer with one output per label. Raises ValueError if the model has none."""
    import torch

    candidates = [
        m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == model.config.num_labels
    ]
    if not candidates:
        raise ValueError(f"{type(model).__name__} has no linear layer with {model.config.num_labels} outputs")
    return candidates[-1]


def head_parameters(model: Any) -> set[int]:
    """`id()` of every parameter outside the encoder. The pooler counts as part of the head."""
    encoder = {id(p) for name, p in model.base_model.named_parameters() if not name.startswith("pooler.")}
    return {id(p) for p in model.parameters()} - encoder


def layers_of(model: Any) -> list[Any]:
    """Transformer layers, lowest first. An encoder-decoder gives the encoder's layers, then the decoder's."""
    import torch

    base = getattr(model, "base_model", model)
    stacks = [m for m in base.modules() if isinstance(m, torch.nn.ModuleList) and _is_stack(m)]
    # a stack inside a layer (T5's sub-layers, for one) is part of that layer
    inner = {id(child) for stack in stacks for layer in stack for child in layer.modules()}
    return [layer for stack in stacks if id(stack) not in inner for layer in stack]


def _is_stack(modules: Any) -> bool:
    """Whether a list of modules is a stack of layers: each has at least four parameters, and their numbers differ by two at most.

    T5's first layer has one parameter more than the others, for its relative positions.
    """
    counts = [len(list(module.parameters())) for module in modules]
    return bool(counts) and min(counts) >= 4 and max(counts) - min(counts) <= 2
