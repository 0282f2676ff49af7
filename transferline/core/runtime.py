"""Runtime: where and how fast, never what. Changes speed, is recorded, and is never hashed."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from transferline.core.cpu import cheap_dropout, keep_memory, quickest_threads
from transferline.core.settings import settings


class Runtime(BaseModel):
    """Device, precision and memory of one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    micro_batch: int | None = None  # examples on the device at once; None: the whole batch
    threads: int | None = None
    processes: int = 1  # that train one model together, each with its share of every batch
    sharded: bool = False  # whether each of them holds a share of every layer only; TRANSFERLINE_SHARDED=1 says so
    compiled: bool = False  # whether layers are compiled for training; TRANSFERLINE_COMPILE=1 says so
    keep_memory: bool = True  # the C library keeps freed memory; off by TRANSFERLINE_KEEP_MEMORY=0
    save_every: float = 30.0  # seconds between two saved states of a training run

    def resolve(self) -> Runtime:
        """This runtime with every `auto` decided for the machine at hand."""
        import torch

        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = self.precision
        if precision == "auto":
            precision = "bf16" if _bf16_pays(device) else "fp32"
        declared = settings()
        processes = declared.processes or self.processes
        sharded = self.sharded or declared.sharded
        keeps = self.keep_memory and declared.keep_memory
        compiled = self.compiled or declared.compile
        decided = {"device": device, "precision": precision, "processes": processes}
        return self.model_copy(update={**decided, "sharded": sharded, "compiled": compiled, "keep_memory": keeps})

    def apply(self) -> None:
        """Set the process-wide switches: threads, oneDNN's (on a GPU: TF32) matrix products, memory and dropout of a CPU."""
        import torch

        if self.device == "cpu":
            cheap_dropout()
            if self.keep_memory:
                keep_memory()
            torch.set_num_threads(self.threads or quickest_threads(self.precision == "bf16"))
        torch.set_float32_matmul_precision(_products(self.device))

    def place(self, model: Any) -> Any:
        """Move a model to the device, with the attention code that trains fastest there."""
        if self.device == "cpu":  # with attention dropout on, eager attention is faster than sdpa there
            for part in [model] if hasattr(model, "set_attn_implementation") else model.modules():
                if hasattr(part, "set_attn_implementation"):
                    part.set_attn_implementation("eager")
        return model.to(self.device)

    def describe(self) -> dict[str, str]:
        """Description of the machine for the record of a run."""
        import torch
        import transformers

        visible = settings().cuda_visible_devices
        gpu = torch.cuda.get_device_name() if self.device == "cuda" else ""
        return {
            "device": self.device,
            "gpu": gpu,
            "visible": "all" if visible is None else visible,
            "precision": self.precision,
            "threads": str(torch.get_num_threads()),
            "processes": str(self.processes),
            "sharded": str(self.sharded).lower(),
            "compiled": str(self.compiled).lower(),
            "memory": "kept" if self.keep_memory else "given back",
            "matmul": torch.get_float32_matmul_precision(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }


@contextmanager
def exactly() -> Iterator[None]:
    """Use true fp32 matrix products within a block, so that measured outputs equal those of another process."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _products(device: str) -> str:
    """Precision of fp32 matrix products in training.
     "medium" moves them to oneDNN. On a CPU without bf16 units this is faster and still true fp32. On a CPU with bf16 units it
    would round to bf16 (logits move by 1e-2), and autocast has that gain anyway.
    """
    if device == "cuda":
        return "high"  # TF32
    return "highest" if _cpu_has("avx512_bf16", "amx_bf16") else "medium"


def _bf16_pays(device: str) -> bool:
    """Whether bf16 products are done in hardware: on a GPU by its own word, on a CPU by its flags."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    flags = torch.backends.cpu.get_cpu_capability()
    return flags.startswith("AVX512") and _cpu_has("avx512_bf16", "amx_bf16")


def _cpu_has(*wanted: str) -> bool:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            words = next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:  # no such file outside Linux: fp32 is always right
        return False
    return any(flag in words for flag in wanted)
