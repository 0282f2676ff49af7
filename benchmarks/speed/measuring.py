"""Comparative timing: run several implementations alternately in one process, and report ratios of medians and quality."""

from __future__ import annotations

import ctypes
import inspect
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transferline.core.project import root
from transferline.core.runtime import Runtime
from transferline.core.stage import Progress, Work
from transferline.recipes.params import load_params

SKIPPED = 3  # first steps of a run, in which threads, caches and allocators warm up


@dataclass
class Way:
    """Measurements of one implementation: a rate (higher is better) and a quality for each round."""

    rates: list[float] = field(default_factory=list)
    quality: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def in_turn(ways: Mapping[str, Callable[[], tuple[float, float]]], rounds: int) -> dict[str, Way]:
    """Run every implementation once per round. Each returns (rate, quality)."""
    found = {name: Way() for name in ways}
    for number in range(rounds):
        for name, run in ways.items():
            rate, quality = run()
            found[name].rates.append(rate)
            found[name].quality.append(quality)
            print(f"  round {number + 1}: {name}: {rate:,.1f} (quality {quality:.4f})", flush=True)
    return found


def table(title: str, ours: str, found: Mapping[str, Way], unit: str, quality: str) -> None:
    """Print a markdown table of median rates, the ratio of `ours` to each, and mean quality."""
    print(f"\n### {title}\n\n| way | {unit} | ours over it | {quality} |\n|---|---|---|---|")
    for name, way in found.items():
        ratio = found[ours].rate / way.rate
        spread = sorted(mine / theirs for mine, theirs in zip(found[ours].rates, way.rates, strict=True))
        shown = "" if name == ours else f"**{ratio:.2f}** ({spread[0]:.2f} to {spread[-1]:.2f})"
        print(f"| {name} | {way.rate:,.0f} | {shown} | {statistics.mean(way.quality):.3f} |")
    print(flush=True)


class Steps:
    """Time stamps of training steps. `rate` gives tokens per second of the median step."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def tick(self) -> None:
        self.at.append(time.perf_counter())

    def rate(self, tokens: float) -> float:
        spent = [b - a for a, b in zip(self.at, self.at[1:], strict=False)][SKIPPED:]
        return tokens / statistics.median(spent)


def base() -> Path:
    """Folder of the shipped encoder. Fetched on the first call."""
    folder = Path(tempfile.gettempdir()) / "transferline-bench-base"
    if not (folder / "config.json").exists():
        folder.mkdir(exist_ok=True)
        work = Work({}, 0, folder, folder / "state", Runtime().resolve(), lambda _: None)
        load_params(root() / "params.yaml").base("minilm").build(work)
    return folder


def work_of(data: Mapping[str, Path], runtime: Runtime, folder: Path, **more: Any) -> Work:
    """The Work object of a stage, built without a flow."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)

    def silent(_: Progress) -> None:
        return

    parent = base()
    return Work(dict(data), 0, folder / "out", folder / "state", runtime, silent, parent, "bench", (parent,), **more)


def fresh() -> Path:
    return Path(tempfile.mkdtemp(prefix="transferline-bench-"))


def as_scripts_run() -> None:
    """Undo the process settings of `Runtime.apply`, so that a peer runs as in a process of its own."""
    import torch

    library = ctypes.CDLL(None)
    for option, value in (
        (-4, 65536),
        (-1, 128 * 1024),
        (-2, 128 * 1024),
    ):  # glibc's defaults of M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD
        library.mallopt(option, value)
    library.malloc_trim(0)
    torch.nn.functional.dropout = inspect.unwrap(torch.nn.functional.dropout)
    torch.set_float32_matmul_precision("highest")


def trainer_arguments(**settings: Any) -> Any:
    """TrainingArguments common to all peers: the device, no saving and no logging."""
    from transformers import TrainingArguments

    as_scripts_run()
    return TrainingArguments(
        output_dir=str(fresh()),
        use_cpu=Runtime().resolve().device == "cpu",
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        **settings,
    )
