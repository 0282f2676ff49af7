"""peft around a model, and the ordinary model again when it has learnt."""

from __future__ import annotations

from typing import Any

from transferline.methods.parameter.tuning import head_of
from transferline.targets import Target

_WRAPPER = "peft_wrapper"


def wrapped(model: Any, config: Any, target: Target) -> Any:
    """The same model with peft's parameters injected; they and the head learn, and nothing else does."""
    from peft import get_peft_model

    head = [p for p in model.parameters() if id(p) in head_of(model, target)]
    wrapper = get_peft_model(model, config)
    for parameter in head:
        parameter.requires_grad_(True)
    model.__dict__[_WRAPPER] = (
        wrapper  # past torch's registration: the wrapper holds the model, not the other way round
    )
    return model


def merged(model: Any) -> Any:
    """The model with what peft learnt added to its weights."""
    wrapper = model.__dict__.pop(_WRAPPER)
    plain = wrapper.merge_and_unload()
    plain.eval()
    return plain
