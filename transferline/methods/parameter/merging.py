"""Wrap a model with peft before training, and merge peft's parameters into it afterwards."""

from __future__ import annotations

from typing import Any

from transferline.methods.parameter.tuning import head_of
from transferline.targets import Target

_WRAPPER = "peft_wrapper"


def wrapped(model: Any, config: Any, target: Target) -> Any:
    """Inject peft's parameters into a model. Only they and the head are trainable afterwards."""
    from peft import get_peft_model

    head = [p for p in model.parameters() if id(p) in head_of(model, target)]
    wrapper = get_peft_model(model, config)
    for parameter in head:
        parameter.requires_grad_(True)
    # `__dict__` avoids torch's registration: the wrapper holds the model, so a registered submodule would be a circle
    model.__dict__[_WRAPPER] = wrapper
    return model


def merged(model: Any) -> Any:
    """Merge peft's trained parameters into the weights. Returns the ordinary model in evaluation mode."""
    wrapper = model.__dict__.pop(_WRAPPER)
    plain = wrapper.merge_and_unload()
    plain.eval()
    return plain
