"""Masked LM on a GPU: `python -m benchmarks.speed.gpu [ROUNDS] [STEPS] [TOKENS]`, with TOKENS per step.

Trains MiniLM and a network of BERT-base's size on blocks of 128 and 512 tokens, eager and compiled, and compares both with Trainer
at its best flags. Also prints the share of the device's own matrix-product rate, measured in the same process, and the peak memory.
It runs on a machine without a GPU too, but the figures then have no meaning.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmarks.speed.measuring import base, fresh, in_turn, table
from benchmarks.speed.pretraining import Bench
from transferline.core.runtime import Runtime

BEST = {"torch_compile": True, "optim": "adamw_torch_fused", "dataloader_num_workers": 2}


def ceiling(device: str) -> float:
    """Floating-point operations per second of large bf16 matrix products, the best of ten."""
    import torch

    size = 8192 if device == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(10):
        float((left @ right)[0, 0])  # reading a value waits for the device
        start = time.perf_counter()
        float((left @ right)[0, 0])
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def bert_base() -> Path:
    """Folder with a randomly initialised network of BERT-base's size and the shipped tokenizer."""
    from transformers import BertConfig, BertForMaskedLM

    from transferline.models.tokenization import load_tokenizer

    folder, tokenizer = fresh(), load_tokenizer(base())
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def main(arguments: list[str]) -> None:
    rounds, steps, tokens = (int(value) for value in [*arguments, *["3", "60", "16384"][len(arguments) :]])
    most = ceiling(Runtime().resolve().device)
    print(f"bf16 products: {most / 1e12:.1f} TFLOP/s")
    for name, folder in (("MiniLM", base()), ("BERT-base's size", bert_base())):
        bench = Bench(steps, folder, tokens)
        for length in (128, 512):
            ways = {
                "ours": lambda length=length, bench=bench: bench.ours(length),
                "ours, compiled": lambda length=length, bench=bench: bench.ours(length, compiled=True),
                "Trainer, its best flags": lambda length=length, bench=bench: bench.peer(length, True, **BEST),
            }
            found = in_turn(ways, rounds)
            table(f"Masked LM, {name}, {length} tokens, {tokens} a step", "ours", found, "tokens/s", "held-out loss")
            for way, compiled in (("ours", False), ("ours, compiled", True)):
                share, memory = found[way].rate * bench.flops / most, bench.peaks[compiled] / 2**30
                print(f"{way}: {share:.0%} of the products' rate, {memory:.1f} GB at its peak", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
