"""Speed of masked-LM adaptation compared with transformers' Trainer: `python -m benchmarks.speed.pretraining [ROUNDS] [STEPS]`.

The peer follows transformers' example script: joined text in blocks, DataCollatorForLanguageModeling, Trainer. It runs at equal
settings (128 tokens, 32 blocks per batch) and at the defaults of the script (512 tokens, 8 blocks, fp32). Quality is the loss on
the same held-out blocks after the same number of tokens.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.measuring import Steps, base, fresh, in_turn, table, trainer_arguments
from transferline.core.cost import metered
from transferline.core.project import root
from transferline.core.runtime import Runtime
from transferline.data.blocks import pack, tokenise
from transferline.data.prepared_files import read_texts
from transferline.methods.objectives.masked import MaskedLearner
from transferline.methods.objectives.objective import mean_loss
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model
from transferline.training.learner import Schedule
from transferline.training.loop import train

RATE, TOKENS = 1e-4, 4096  # tokens per step: 32 x 128 or 8 x 512


class Bench:
    """The corpus in blocks, with one method for each way of training on it."""

    def __init__(self, steps: int, folder: Path | None = None, tokens: int = TOKENS) -> None:
        self.steps, self.folder, self.tokens = steps, folder or base(), tokens
        self.flops = 0.0
        """FLOPs per token, counted by the training loop"""
        self.peaks: dict[bool, float] = {}
        """peak memory in bytes, by whether layers are compiled"""
        self.tokenizer = load_tokenizer(self.folder)
        texts = read_texts(root() / "data" / "corpora" / "film" / "corpus.jsonl")
        self.pair = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        documents = tokenise(self.tokenizer, texts)
        self.blocks = {length: pack(documents[200:], length, *self.pair) for length in (128, 512)}
        self.held = pack(documents[:200], 128, *self.pair)[:128]

    def ours(self, length: int = 128, compiled: bool = False) -> tuple[float, float]:
        """Train with transferline. Returns (tokens per second, held-out loss)."""
        model, new = load_model("AutoModelForMaskedLM", self.folder, 0)
        learner = MaskedLearner(
            model, self.tokenizer, self.blocks[length], probability=0.15, seed=0, new=new, head_warmup=0.0
        )
        steps, before = Steps(), learner.before_step

        def tick(step: int, total: int) -> None:
            steps.tick()
            before(step, total)

        learner.before_step = tick  # type: ignore[method-assign]
        runtime = Runtime(save_every=1e9, compiled=compiled).resolve()
        runtime.apply()
        schedule = Schedule(batch_size=self.tokens // length, learning_rate=RATE, warmup=0.1)
        with metered(runtime.device) as meter:
            train(learner, schedule, self.steps, seed=0, runtime=runtime, state=fresh(), report=lambda _: None)
        self.flops, self.peaks[compiled] = meter.flops / meter.tokens, meter.peak_bytes
        return steps.rate(self.tokens), self.loss(model)

    def peer(self, length: int, bf16: bool, **flags: Any) -> tuple[float, float]:
        """Train with Trainer. Returns (tokens per second, held-out loss)."""
        from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback

        model, _ = load_model("AutoModelForMaskedLM", self.folder, 0)
        model.set_attn_implementation("sdpa")  # the default of a script
        rows = [{"input_ids": row.tolist()} for row in self.blocks[length]]
        steps = Steps()

        class Clock(TrainerCallback):
            def on_step_begin(self, *_, **__) -> None:
                steps.tick()

        arguments = trainer_arguments(
            per_device_train_batch_size=self.tokens // length,
            max_steps=self.steps,
            learning_rate=RATE,
            warmup_steps=self.steps // 10,
            weight_decay=0.01,
            bf16=bf16,
            **flags,
        )
        collator = DataCollatorForLanguageModeling(self.tokenizer, mlm_probability=0.15)
        Trainer(model, arguments, collator, rows, callbacks=[Clock()]).train()
        return steps.rate(self.tokens), self.loss(model)

    def loss(self, model: torch.nn.Module) -> float:
        """Masked-LM loss on the held-out blocks."""
        whole, _ = load_model(
            "AutoModelForMaskedLM", self.folder, 0
        )  # Trainer leaves its own `forward` on the trained model
        whole.load_state_dict(model.state_dict())
        learner = MaskedLearner(
            whole, self.tokenizer, self.blocks[128], probability=0.15, seed=7, new=frozenset(), head_warmup=0.0
        )
        return mean_loss(learner, self.held)


def main(arguments: list[str]) -> None:
    rounds, steps = (int(value) for value in [*arguments, *["3", "40"][len(arguments) :]])
    bench = Bench(steps)
    ways = {
        "ours": bench.ours,
        "Trainer, fp32": lambda: bench.peer(128, False),
        "Trainer, bf16": lambda: bench.peer(128, True),
        "Trainer, its defaults (512 x 8, fp32)": lambda: bench.peer(512, False),
    }
    title = f"Masked-LM adaptation, {TOKENS} tokens a step, {steps} steps"
    table(title, "ours", in_turn(ways, rounds), "tokens/s", "held-out loss")


if __name__ == "__main__":
    main(sys.argv[1:])
