"""Load and save model folders without losing weights that a stage's architecture does not have.

A masked-LM model has no pooler, and a sentence encoder has no LM head. If such weights were dropped, a comparison with the
unadapted control would measure the loss of the pooler or the head instead of the adaptation. So they are copied from the parent.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferline.models.prefix_tuning import open_prefixed
from transferline.models.tokenization import load_tokenizer

if TYPE_CHECKING:
    import torch

# safetensors only, no code that comes with a model, nothing from the network
_PLAIN: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}


def load_model(auto_class: str, folder: Path, seed: int, **options: Any) -> tuple[Any, frozenset[str]]:
    """Load a folder's model in fp32, and return it with the names of the parameters that the folder lacks.

    `seed` initialises those. Only safetensors are read, and no code in the folder is run.
    """
    import torch
    import transformers

    import transferline.models.networks  # noqa: F401 - registers our own architectures with the auto classes

    torch.manual_seed(seed)
    auto = getattr(transformers, auto_class)
    model, info = auto.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **_PLAIN, **options)
    own = {name for name, _ in model.named_parameters()}
    return model, frozenset(own & set(info["missing_keys"]))


def load_headed(
    auto_class: str,
    folder: Path,
    seed: int,
    pretrained: bool = True,
    labels: list[str] | None = None,
    config: Any = None,
) -> Any:
    """Load a model with a task's head on the weights of a folder, or with random weights of the same shape.

    `labels` name the outputs, and `config` replaces the folder's config. `seed` initialises parameters that the folder lacks.
    """
    import torch
    import transformers

    config = config if config is not None else load_config(folder)
    if labels is not None:
        name_outputs(config, labels)
    torch.manual_seed(seed)
    auto = getattr(transformers, auto_class)
    model = auto.from_pretrained(folder, config=config, **_PLAIN, dtype=torch.float32) if pretrained else None
    model = model if model is not None else auto.from_config(config)
    model.always_frozen = frozenset()
    return model


def name_outputs(config: Any, labels: list[str]) -> None:
    """Write the names of a model's outputs into its config."""
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}


def load_config(folder: Path) -> Any:
    """Load a folder's config and set its padding token if it has none, as is common for decoders."""
    from transformers import AutoConfig

    import transferline.models.networks  # noqa: F401 - registers our own architectures with the auto classes

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = load_tokenizer(folder).pad_token_id
    return config


def open_tuned(auto_class: str, folder: Path) -> Any:
    """Load a tuned model in evaluation mode, with its prefix if it has one."""
    import torch
    import transformers

    import transferline.models.networks  # noqa: F401 - as above

    model = getattr(transformers, auto_class).from_pretrained(folder, **_PLAIN, dtype=torch.float32)
    return open_prefixed(model.eval(), folder)


def save_model(model: Any, tokenizer: Any, parent: Path, out: Path) -> None:
    """Save an adapted model together with the parent's weights that it lacks (pooler, LM head)."""
    from safetensors.torch import save_file

    tensors = united(model, read_tensors(parent))
    model.config.save_pretrained(out)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(out)


def united(model: Any, parent: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The model's tensors under full names (`bert.encoder...`, `cls...`), and the parent's tensors that it lacks."""
    prefix = model.base_model_prefix + "."
    base = model.base_model
    named = {prefix + name: tensor for name, tensor in base.state_dict().items()}
    if base is not model:
        named |= {name: t for name, t in model.state_dict().items() if not name.startswith(prefix)}
    # a folder of a bare encoder has names without the prefix
    if not any(name.startswith(prefix) for name in parent):
        parent = {prefix + name: tensor for name, tensor in parent.items()}
    # position_ids: a buffer that older releases of transformers saved
    named |= {name: t for name, t in parent.items() if name not in named and not name.endswith("position_ids")}
    kept: dict[str, torch.Tensor] = {}
    addresses: set[int] = set()
    for name, tensor in named.items():
        if (
            tensor.data_ptr() not in addresses
        ):  # safetensors refuses shared memory: a tied tensor is saved under its first name
            addresses.add(tensor.data_ptr())
            kept[name] = tensor.detach().cpu().contiguous()
    return kept


def stored_shapes(folder: Path) -> dict[str, list[int]]:
    """Shapes of all tensors in a model folder's safetensors files, by their names there. Reads the headers alone."""
    shapes: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        shapes |= {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    return shapes


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors in a model folder's safetensors files, by their names there."""
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors
