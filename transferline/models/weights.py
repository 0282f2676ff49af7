"""Model folders in and out. What a stage's architecture has no place for is carried along, never dropped.

A masked-LM model has no pooler and a sentence encoder has no LM head; without care an adapted model would lose the one
or the other, and the comparison with its unadapted control would measure that loss instead of the adaptation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferline.models.prefix_tuning import open_prefixed
from transferline.models.tokenization import load_tokenizer

if TYPE_CHECKING:
    import torch

# safetensors only, no code that comes with a model, nothing from the network
_PLAIN: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}


def load_model(auto_class: str, folder: Path, seed: int, **options: Any) -> tuple[Any, frozenset[str]]:
    """A model of a folder in fp32 and the names of its parameters that the folder does not hold.

    Those start from `seed`. Safetensors only; no code of the model's is run.
    """
    import torch
    import transformers

    import transferline.models.networks  # noqa: F401 - makes our own architectures known to the auto classes

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
    """A model with a task's head on the weights of a folder, or of the same shape with random ones.

    `labels` name its outputs, `config` stands in for the folder's own. What the folder does not hold starts from `seed`.
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
    """Say in a config what a model's outputs mean."""
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}


def load_config(folder: Path) -> Any:
    """A folder's config, with a padding token where the family never needed one."""
    from transformers import AutoConfig

    import transferline.models.networks  # noqa: F401 - makes our own architectures known to the auto classes

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = load_tokenizer(folder).pad_token_id
    return config


def open_tuned(auto_class: str, folder: Path) -> Any:
    """A tuned model as it was saved, in evaluation mode."""
    import torch
    import transformers

    import transferline.models.networks  # noqa: F401 - as above

    model = getattr(transformers, auto_class).from_pretrained(folder, **_PLAIN, dtype=torch.float32)
    return open_prefixed(model.eval(), folder)


def save_model(model: Any, tokenizer: Any, parent: Path, out: Path) -> None:
    """Save an adapted model with everything of its parent that it has no place for (pooler, LM head)."""
    from safetensors.torch import save_file

    tensors = united(model, read_tensors(parent))
    model.config.save_pretrained(out)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(out)


def united(model: Any, parent: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The model's tensors under full names (`bert.encoder...`, `cls...`), and the parent's that it lacks."""
    prefix = model.base_model_prefix + "."
    base = model.base_model
    named = {prefix + name: tensor for name, tensor in base.state_dict().items()}
    if base is not model:
        named |= {name: t for name, t in model.state_dict().items() if not name.startswith(prefix)}
    if not any(name.startswith(prefix) for name in parent):
        parent = {prefix + name: tensor for name, tensor in parent.items()}
    named |= {name: t for name, t in parent.items() if name not in named and not name.endswith("position_ids")}
    kept: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, tensor in named.items():
        if tensor.data_ptr() not in places:  # a tied tensor is written once, under its first name
            places.add(tensor.data_ptr())
            kept[name] = tensor.detach().cpu().contiguous()
    return kept


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a model folder's safetensors, as it is named there."""
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors
