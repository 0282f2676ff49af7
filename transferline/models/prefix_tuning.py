"""Prefix tuning with peft: trained key and value prefixes for the attention of every layer, saved and loaded.

A prefix cannot be merged into the weights. The folder holds the ordinary model, the prefix (prefix.safetensors) and its config
(prefix.json).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError

CONFIG = "prefix.json"
_WEIGHTS = "prefix.safetensors"
_TASKS = {"ForSequenceClassification": "SEQ_CLS", "ForTokenClassification": "TOKEN_CLS"}


def with_prefix(model: Any, tokens: int) -> Any:
    """Freeze a model's encoder and wrap the model with a trainable prefix of `tokens` virtual tokens.

    Raises InputError for encoder-decoder classifiers, which do not accept keys and values from outside.
    """
    from peft import PrefixTuningConfig, get_peft_model

    name = type(model).__name__
    if model.config.is_encoder_decoder and "ForConditionalGeneration" not in name:
        mend = "Use lora or adapter"
        raise InputError("method 'prefix'", f"{name} does not accept keys and values from outside", mend)
    generating = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    task = next((task for end, task in _TASKS.items() if name.endswith(end)), generating)
    wrapper = get_peft_model(model, PrefixTuningConfig(task_type=task, num_virtual_tokens=tokens))
    _undo_copies(wrapper)
    return wrapper


def save_prefixed(wrapper: Any, out: Path) -> None:
    """Save the unwrapped model and, beside it, the prefix."""
    from safetensors.torch import save_file

    wrapper.get_base_model().save_pretrained(out)
    embedding = wrapper.prompt_encoder["default"].embedding.weight.detach().cpu().contiguous()
    save_file({"prefix": embedding}, out / _WEIGHTS)
    (out / CONFIG).write_text(json.dumps({"tokens": len(embedding)}) + "\n", encoding="utf-8")


def open_prefixed(model: Any, folder: Path) -> Any:
    """Wrap a loaded model with the prefix in its folder. Without a prefix there, return the model as it is."""
    import torch
    from safetensors.torch import load_file

    if not (folder / CONFIG).exists():
        return model
    declared = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    wrapper = with_prefix(model, declared["tokens"])
    with torch.no_grad():
        wrapper.prompt_encoder["default"].embedding.weight.copy_(load_file(folder / _WEIGHTS)["prefix"])
    return wrapper.eval()


def _undo_copies(wrapper: Any) -> None:
    """Replace the head by the copy of it that peft trains (`modules_to_save`), so that the saved model has the trained head."""
    from peft.utils import ModulesToSaveWrapper

    for parent in list(wrapper.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ModulesToSaveWrapper):
                setattr(parent, name, child.modules_to_save["default"])
