"""Save and load the state of a training run, atomically.

    state/at-00000120/    weights, optimiser moments and progress.json, renamed into place when complete
    state/best-00000096.safetensors    weights of the best validation so far
    state/best-00000096.sha256         its digest

progress.json carries the digests of the state's files. A state that is torn or has changed is not used: training resumes from an
older one, or begins again. Only safetensors and JSON are used, so loading a state cannot run code.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferline.core.packages import sha256_of
from transferline.training.sharding import like, whole

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)
TENSORS = ("weights.safetensors", "moments.safetensors")
PROGRESS = "progress.json"


@dataclass(frozen=True)
class Saved:
    """Step and history of a saved run."""

    step: int
    history: dict[str, Any]
    threads: int = 0
    """CPU threads of the run, because sums over other parts round differently; 0: unknown"""


def save(
    state: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    saved: Saved,
    order: Sequence[torch.nn.Parameter],
    writes: bool = True,
) -> None:
    """Save a run, and remove earlier states once the new one is in place.

    Optimiser moments are numbered in the `order` of the parameters. With sharded layers every process must call this: processes
    with `writes=False` only send their shards.
    """
    from safetensors.torch import save_file

    weights = _gathered(_trained_tensors(model), writes)
    named = ((f"{i}.{name}", v) for i, p in enumerate(order) for name, v in optimizer.state.get(p, {}).items())
    moments = _gathered(named, writes)
    if not writes:
        return
    state.mkdir(parents=True, exist_ok=True)
    part = state / f"part-{saved.step:08d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name, tensors in zip(TENSORS, (weights, moments), strict=True):
        save_file(tensors, part / name)
    progress = {**vars(saved), "digests": {name: sha256_of(part / name) for name in TENSORS}}
    (part / PROGRESS).write_text(json.dumps({**progress, "check": _check(progress)}), encoding="utf-8")
    _sync(*part.iterdir(), part)
    final = state / f"at-{saved.step:08d}"
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    _sync(state)  # the earlier state is deleted below: this one must be on the disk by then
    for old in [*state.glob("at-*"), *state.glob("part-*")]:
        if old != final:
            shutil.rmtree(old)
    keep = best_path(state, int(saved.history["best_step"]))
    for old in state.glob("best-*"):
        if old.stem != keep.stem:
            old.unlink()


def newest(
    state: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, order: Sequence[torch.nn.Parameter]
) -> Saved | None:
    """Load the newest whole state into model and optimiser. None if there is none."""
    from safetensors.torch import load_file

    found = ((folder, read_progress(folder)) for folder in sorted(state.glob("at-*"), reverse=True))
    folder, raw = next(((folder, read) for folder, read in found if read is not None), (state, None))
    if raw is None:
        return None
    _load_weights(model, load_file(folder / "weights.safetensors"))
    # the optimiser's own numbers depend on its groups, and those differ between sharded and plain runs: map by parameter
    numbers = {id(p): i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    per_parameter: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "moments.safetensors").items():
        index, name = key.split(".", 1)
        parameter = order[int(index)]
        per_parameter.setdefault(numbers[id(parameter)], {})[name] = like(parameter, value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": per_parameter})
    return Saved(**raw)


def read_progress(folder: Path) -> dict[str, Any] | None:
    """Step, history and threads of a saved state; None, with a warning, if it or the best weights it refers to are damaged."""
    try:
        raw = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        if raw.pop("check") != _check(raw):
            raise ValueError("progress.json has changed")
        digests = raw.pop("digests")
        best = best_path(folder.parent, int(raw["history"]["best_step"]))
        kept = all(sha256_of(folder / name) == digests[name] for name in TENSORS)
        if kept and (not raw["history"]["best_step"] or _whole_best(best)):
            return dict(raw)
    except (OSError, ValueError, KeyError, TypeError):  # a file that is missing or cut off
        pass
    _log.warning("%s: the saved state is damaged and is not used", folder)
    return None


def best_path(state: Path, step: int) -> Path:
    """File of the best weights, which were validated at `step`."""
    return state / f"best-{step:08d}.safetensors"


def save_best(state: Path, step: int, model: torch.nn.Module, writes: bool = True) -> None:
    """Save the weights of the best validation so far.

    The previous best file is kept until the next `save`: a resumed run may start from a state that still refers to it.
    """
    from safetensors.torch import save_file

    weights = _gathered(_trained_tensors(model), writes)
    if not writes:
        return
    state.mkdir(parents=True, exist_ok=True)
    part = state / "best.part"
    save_file(weights, part)
    best = best_path(state, step)
    best.with_suffix(".sha256").write_text(sha256_of(part), encoding="utf-8")
    part.replace(best)
    _sync(best, best.with_suffix(".sha256"), state)


def load_best(state: Path, step: int, model: torch.nn.Module) -> None:
    """Load the best weights into a model."""
    from safetensors.torch import load_file

    _load_weights(model, load_file(best_path(state, step)))


def _check(progress: dict[str, Any]) -> str:
    """Digest of the progress itself, so that no wrong step or history is resumed."""
    return hashlib.sha256(json.dumps(progress, sort_keys=True).encode()).hexdigest()


def _whole_best(best: Path) -> bool:
    return best.with_suffix(".sha256").read_text(encoding="utf-8") == sha256_of(best)


def _sync(*places: Path) -> None:
    """Write files and folders through to the disk, so that they outlive a power failure."""
    for place in places:
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _trained_tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and tensors that training may change.

    These are the parameters outside `always_frozen` (tied ones once) and the persistent buffers (running means and variances).
    """
    frozen: frozenset[str] = getattr(model, "always_frozen", frozenset())
    saved = model.state_dict()
    named = [*model.named_parameters(), *((n, b) for n, b in model.named_buffers() if n in saved)]
    return ((name, tensor) for name, tensor in named if name not in frozen)


def _gathered(named: Iterable[tuple[str, torch.Tensor]], keeps: bool) -> dict[str, torch.Tensor]:
    """Full tensors on the CPU. Empty if `keeps` is false: the process then only takes part in gathering the shards."""
    found = {}
    for name, tensor in named:
        gathered = whole(tensor)
        if keeps:
            found[name] = gathered.cpu().contiguous()
    return found


def _load_weights(model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    import torch

    targets = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, tensor in tensors.items():
            targets[name].copy_(like(targets[name], tensor))
