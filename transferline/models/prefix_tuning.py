"""A model with learnt key and value prefixes in front of every layer's attention: peft's prefix tuning, in and out of a folder.

A prefix cannot be merged into weights: the folder holds the ordinary model and, beside it, the prefix (prefix.safetensors) with its
config (prefix.json).
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
    """peft's wrapper around a model, with a prefix of so many virtual tokens; only the prefix learns."""
    from peft import PrefixTuningConfig, get_peft_model

    name = type(model).__name__
    if model.config.is_encoder_decoder and "ForConditionalGeneration" not in name:
        mend = "Use lora or adapter"
        raise InputError("method 'prefix'", f"{name} takes no keys and values from outside", mend)
    generating = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    task = next((task for end, task in _TASKS.items() if name.endswith(end)), generating)
    wrapper = get_peft_model(model, PrefixTuningConfig(task_type=task, num_virtual_tokens=tokens))
    _undo_copies(wrapper)
    return wrapper


def save_prefixed(wrapper: Any, out: Path) -> None:
    """Save the ordinary model and its prefix."""
    from safetensors.torch import save_file

    wrapper.get_base_model().save_pretrained(out)
    embedding = wrapper.prompt_encoder["default"].embedding.weight.detach().cpu().contiguous()
    save_file({"prefix": embedding}, out / _WEIGHTS)
    (out / CONFIG).write_text(json.dumps({"tokens": len(embedding)}) + "\n", encoding="utf-8")


def open_prefixed(model: Any, folder: Path) -> Any:
    """The model of a folder with its prefix, if it has one."""
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
    """peft trains a copy of the head; put the copy in the head's place, so that there is one."""
    from peft.utils import ModulesToSaveWrapper

    for parent in list(wrapper.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ModulesToSaveWrapper):
                setattr(parent, name, child.modules_to_save["default"])
