"""The saved state of a training run: whole or not there.

    state/at-00000120/    weights, optimiser moments, progress.json: renamed into place when complete
    state/best-00000096.safetensors    the weights of the best validation so far

Only safetensors and JSON: nothing that is loaded can run code.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferline.training.sharding import like, whole

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Saved:
    """How far a run had come, and its history."""

    step: int
    history: dict[str, Any]
    threads: int = 0
    """that computed it on a CPU: sums of other shares round differently; 0: unknown"""


def save(
    state: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    saved: Saved,
    order: Sequence[torch.nn.Parameter],
    writes: bool = True,
) -> None:
    """Save a run whole, the moments in the `order` of the parameters; earlier states go once this one is in place.

    A process that does not write gives its shards to the one that does.
    """
    from safetensors.torch import save_file

    weights = _gathered(_learnt(model), writes)
    named = ((f"{i}.{name}", v) for i, p in enumerate(order) for name, v in optimizer.state.get(p, {}).items())
    moments = _gathered(named, writes)
    if not writes:
        return
    state.mkdir(parents=True, exist_ok=True)
    part = state / f"part-{saved.step:08d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    save_file(weights, part / "weights.safetensors")
    save_file(moments, part / "moments.safetensors")
    (part / "progress.json").write_text(json.dumps(vars(saved)), encoding="utf-8")
    final = state / f"at-{saved.step:08d}"
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    for old in [*state.glob("at-*"), *state.glob("part-*")]:
        if old != final:
            shutil.rmtree(old)
    keep = best_path(state, int(saved.history["best_step"]))
    for old in state.glob("best-*"):
        if old != keep:
            old.unlink()


def newest(
    state: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, order: Sequence[torch.nn.Parameter]
) -> Saved | None:
    """Load the newest saved state into model and optimiser, or None where there is none."""
    from safetensors.torch import load_file

    found = sorted(state.glob("at-*"))
    if not found:
        return None
    folder = found[-1]
    raw = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    _load_weights(model, load_file(folder / "weights.safetensors"))
    places = {id(p): i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    per_parameter: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "moments.safetensors").items():
        index, name = key.split(".", 1)
        parameter = order[int(index)]
        per_parameter.setdefault(places[id(parameter)], {})[name] = like(parameter, value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": per_parameter})
    return Saved(**raw)


def best_path(state: Path, step: int) -> Path:
    return state / f"best-{step:08d}.safetensors"


def save_best(state: Path, step: int, model: torch.nn.Module, writes: bool = True) -> None:
    """Keep the weights of the best validation so far. The previous best stays until a saved state has moved on."""
    from safetensors.torch import save_file

    weights = _gathered(_learnt(model), writes)
    if not writes:
        return
    state.mkdir(parents=True, exist_ok=True)
    part = state / "best.part"
    save_file(weights, part)
    part.replace(best_path(state, step))


def load_best(state: Path, step: int, model: torch.nn.Module) -> None:
    from safetensors.torch import load_file

    _load_weights(model, load_file(best_path(state, step)))


def _learnt(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """What training changes: parameters that are not frozen for good (tied ones once), and buffers that a model is saved with
    (running means and variances)."""
    frozen: frozenset[str] = getattr(model, "always_frozen", frozenset())
    saved = model.state_dict()
    named = [*model.named_parameters(), *((n, b) for n, b in model.named_buffers() if n in saved)]
    return ((name, tensor) for name, tensor in named if name not in frozen)


def _gathered(named: Iterable[tuple[str, torch.Tensor]], keeps: bool) -> dict[str, torch.Tensor]:
    """Tensors with all of their shards, on the CPU; none where this process does not keep them."""
    found = {}
    for name, tensor in named:
        gathered = whole(tensor)
        if keeps:
            found[name] = gathered.cpu().contiguous()
    return found


def _load_weights(model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    import torch

    places = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, tensor in tensors.items():
            places[name].copy_(like(places[name], tensor))
