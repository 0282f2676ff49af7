"""From a pretrained folder to a classifier that transformers alone can load and serve.

Most classification heads look at the first token. Sentence encoders carry their meaning in the *mean* over tokens, and a
probe on the first token loses much of it. transformers has no switch for that in BERT-type models, and code of our own would
have to travel with every served model. So mean pooling is written in the architecture's own terms, as one more
layer whose weights are set by hand:

* queries and keys are zero: attention is uniform over the tokens that are not padding;
* values are the identity, and the output projection is `_LOUD` times the identity: after the residual connection and the
  layer norm (which ignores scale) what stands at every position is LayerNorm(mean of the tokens), up to 1 / _LOUD;
* the feed-forward part is zero, so the second layer norm only repeats the first.

The layer is never trained. The served model is an ordinary BERT with one layer more; wherever it runs in our hands, the layer is
computed as the mean that it is, without its products.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal

from transferline.core.errors import InputError
from transferline.models.weights import load_config, load_headed

Pooling = Literal["mean", "first"]  # first: as the family has it (first token; the last one of decoders; T5: the end)

_POST_NORM = ("bert", "roberta", "xlm-roberta", "camembert", "electra")  # families whose layer has this shape
_NATIVE = {
    "modernbert": ("classifier_pooling", "mean"),
    "xlnet": ("summary_type", "mean"),
    "transferline-static": ("pooling", "mean"),
    "transferline-features": ("pooling", "mean"),
    "transferline-awd-lstm": ("pooling", "mean"),
    "transferline-bilm": ("pooling", "mean"),
}
_LOUD = 1e4  # the residual's share becomes 1e-4, under bf16's resolution and far over fp32's
_GENTLE = 0.5  # the head's own dense layer starts as half the identity: tanh stays nearly linear on normalised input


def load_classifier(
    folder: Path,
    labels: list[str],
    pooling: Pooling,
    seed: int,
    pretrained: bool = True,
    problem: str = "single_label_classification",
) -> Any:
    """A sequence classifier over `labels` on the weights of `folder`, or of the same shape with random ones.

    Its new parameters start from `seed`. Raises InputError where the family has no mean pooling.
    """
    config = load_config(folder)
    appended = pooling == "mean" and _ask_for_mean(config, folder.name)
    config.problem_type = problem
    model = load_headed("AutoModelForSequenceClassification", folder, seed, pretrained, labels, config)
    model.always_frozen = _set_mean_layer(model) if appended else frozenset()
    return model


def check_pooling(family: str, pooling: Pooling, who: str) -> None:
    """Raise InputError where a family cannot pool that way."""
    if pooling == "mean" and family not in (*_POST_NORM, *_NATIVE):
        mend = "Set `pooling: first` in this recipe's `tune`: the family's own way"
        raise InputError(who, f"mean pooling is not there for {family!r} models", mend)


def _ask_for_mean(config: Any, name: str) -> bool:
    """Make `config` pool by the mean; True where that takes a layer of our making."""
    family = config.model_type
    if family in _NATIVE:
        setattr(config, *_NATIVE[family])
        return False
    check_pooling(family, "mean", f"base {name}")
    config.num_hidden_layers += 1
    return True


def _set_mean_layer(model: Any) -> frozenset[str]:
    """Turn the last encoder layer into mean pooling, frozen; returns the names of its parameters."""
    import torch

    layer = model.base_model.encoder.layer[-1]
    layer.forward = types.MethodType(_mean_of_tokens, layer)
    width = model.config.hidden_size
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
            parameter.requires_grad_(False)
        layer.attention.self.value.weight.copy_(torch.eye(width))
        layer.attention.output.dense.weight.copy_(_LOUD * torch.eye(width))
        for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
        for module in layer.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        _gentle(model)
    owned = {id(parameter) for parameter in layer.parameters()}
    return frozenset(name for name, parameter in model.named_parameters() if id(parameter) in owned)


def _mean_of_tokens(layer: Any, hidden_states: Any, attention_mask: Any = None, *others: Any, **more: Any) -> Any:
    """What the layer that pools does, without its products; the first token's result, where heads look, stands at every token.

    A mask is (batch, tokens), or (batch, 1, queries, tokens) of booleans or of summands of the scores.
    """
    from transferline.models.networks.pooling import mean_of_tokens

    if others or more.get("past_key_values") is not None:  # keys from outside: a prefix has a share in the mean
        return type(layer).forward(layer, hidden_states, attention_mask, *others, **more)
    seen = None
    if attention_mask is not None:
        row = attention_mask[:, 0, 0] if attention_mask.dim() == 4 else attention_mask
        seen = (row == 0) if row.is_floating_point() else row
    mean = mean_of_tokens(hidden_states, seen).unsqueeze(1)
    pooled = layer.attention.output.LayerNorm(hidden_states[:, :1] + _LOUD * mean)
    return layer.output.LayerNorm(pooled).expand_as(hidden_states)


def _gentle(model: Any) -> None:
    """Start the dense layer between encoder and output near the identity: it was learnt for another input, or never."""
    import torch

    dense = getattr(getattr(model.base_model, "pooler", None), "dense", None)
    dense = dense if dense is not None else getattr(model.classifier, "dense", None)
    if dense is not None and dense.weight.shape[0] == dense.weight.shape[1]:
        dense.weight.copy_(_GENTLE * torch.eye(dense.weight.shape[0]))
        dense.bias.zero_()


def output_layer(model: Any) -> Any:
    """The last linear layer, from the head's features to the labels."""
    import torch

    candidates = [
        m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == model.config.num_labels
    ]
    if not candidates:
        raise ValueError(f"{type(model).__name__} has no linear layer to its {model.config.num_labels} labels")
    return candidates[-1]


def head_parameters(model: Any) -> set[int]:
    """ids of the parameters outside the encoder, its pooler counted with the head."""
    encoder = {id(p) for name, p in model.base_model.named_parameters() if not name.startswith("pooler.")}
    return {id(p) for p in model.parameters()} - encoder


def layers_of(model: Any) -> list[Any]:
    """The layers of a model's encoder, lowest first; of an encoder and a decoder, the one's and then the other's."""
    import torch

    base = getattr(model, "base_model", model)
    stacks = [m for m in base.modules() if isinstance(m, torch.nn.ModuleList) and _is_stack(m)]
    inner = {id(child) for stack in stacks for layer in stack for child in layer.modules()}
    return [layer for stack in stacks if id(stack) not in inner for layer in stack]


def _is_stack(modules: Any) -> bool:
    """Whether a list of modules is a stack of layers: each has several parameters, and about as many as the others."""
    counts = [len(list(module.parameters())) for module in modules]
    return bool(counts) and min(counts) >= 4 and max(counts) - min(counts) <= 2
