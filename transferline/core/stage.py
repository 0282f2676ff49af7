"""Stage: one frozen model that is at once the config, the identity and the code of a method."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from transferline.core.flops import PADDING, Lengths, Prior, Size, StepTexts
from transferline.core.former_names import with_former_names, with_present_names
from transferline.core.problem import Ability, Need, TargetKind, Transfer
from transferline.core.runtime import Runtime

StageKind = Literal["base", "select", "adapt", "tune", "control", "predict"]


SELECTED = "selected"  # the role of text that an earlier stage of the chain has selected: a parent, not a file of DVC's


@dataclass(frozen=True)
class Progress:
    """Progress of a long step, as the training loop reports it."""

    stage: str
    done: float
    total: float
    unit: str
    rate: float  # units a second; 0 where not known yet
    metrics: Mapping[str, float]

    @property
    def left(self) -> float:
        """Seconds left at the present rate, or infinity before the first measurement."""
        return (self.total - self.done) / self.rate if self.rate > 0 else float("inf")


@dataclass(frozen=True)
class Work:
    """All that a stage is given to build with: files in, an empty folder out, and a folder that survives a kill."""

    data: Mapping[str, Path]
    seed: int
    out: Path
    state: Path
    runtime: Runtime
    report: Callable[[Progress], None]
    parent: Path | None = None
    name: str = ""
    parents: tuple[Path, ...] = ()
    """all of them, `parent` first"""
    cache: Path | None = None
    """where intermediate results lie that later stages may want again; nothing depends on their being there"""

    def needs_parent(self) -> Path:
        """The parent's folder. Raises ValueError without one, because there is nothing to transfer then."""
        if self.parent is None:
            raise ValueError(f"{self.name or 'stage'}: built without a parent checkpoint")
        return self.parent


class Stage(BaseModel):
    """Base of every method. Subclasses add `method: Literal[...]`, their settings, and `build`.

    Class attributes: `version` is raised when the computation changes. `reads` names the data roles that enter the key.
    `transfer` is the kind of knowledge that is transferred. `needs` are the requirements on source and target; the setting
    decides from them whether the method is admissible. `tasks` and `ability` are the kinds of target and the families of bases
    that it suits. `source` cites the paper. `long` stages show a progress bar. `gpu` stages get a device of their own where the
    machine has one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: ClassVar[StageKind]
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    transfer: ClassVar[Transfer] = "parameter"
    needs: ClassVar[tuple[Need, ...]] = ()
    tasks: ClassVar[tuple[TargetKind, ...]] = get_args(TargetKind)
    ability: ClassVar[Ability | None] = None
    source: ClassVar[str] = ""
    random: ClassVar[bool] = True
    long: ClassVar[bool] = False
    gpu: ClassVar[bool] = False
    prior: ClassVar[Prior] = Prior()
    """expected effect of the method, from which advice is computed before training"""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """A nested block that is given in part keeps this method's own defaults for the rest."""
        given = with_present_names(given)
        if not isinstance(given, dict):
            return given
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        nested = {name: value.model_dump() for name, value in defaults.items() if isinstance(value, BaseModel)}
        return {
            name: {**nested[name], **value} if name in nested and _completes(nested[name], value) else value
            for name, value in given.items()
        }

    def canonical(self) -> dict[str, Any]:
        """What identifies this stage: method, version, and every value that differs from its default."""
        values = with_former_names(self.model_dump(mode="json", exclude_defaults=True))
        return {"method": getattr(self, "method", type(self).__name__), "version": self.version, **values}

    def roles(self) -> tuple[str, ...]:
        """The data roles that enter this stage's key, with these settings."""
        return self.reads

    def helpers(self) -> dict[str, Stage]:
        """Stages that are built on the same parent before this one, which is given them as further parents."""
        return {}

    def source_task_names(self) -> tuple[str, ...]:
        """Names of the source tasks whose labelled examples it learns from. Each needs a pair in params.yaml."""
        return tuple(getattr(self, "source_tasks", ()))

    def alone(self) -> Stage:
        """The same method without its source tasks: the baseline that shows whether they helped."""
        return self

    def starts_from(self) -> str | None:
        """The base that this stage starts from instead of its chain's last model."""
        return None

    def flops(self, size: Size, tokens: StepTexts) -> float:
        """Upper bound on the FLOPs of building the stage on a model of a size, as the meter of core/cost.py counts them.

        By default a stage with `gpu` reads each of its texts once, and a stage without computes no network. A method that trains
        overrides this.
        """
        return PADDING * size.forward(tokens.every()) if self.gpu else 0.0

    def leaves(self, size: Size, tokens: StepTexts) -> Size:
        """Size of the model that the stage passes on. By default that of its parent."""
        return size

    def selects(self, tokens: StepTexts) -> Lengths | None:
        """Upper bound on the training texts that a selection writes, or None for other stages."""
        return None

    def longest_input(self, kind: TargetKind) -> int:
        """Longest input, in tokens with special ones, that the stage gives a network for a kind of target. 0: none, or any."""
        return max(getattr(self, "max_tokens", 0), getattr(self, "block", 0))

    def feature_layers(self) -> tuple[int, ...]:
        """Hidden states that a method on frozen features reads. Empty means the last one."""
        return ()

    def build(self, work: Work) -> dict[str, float]:
        """Compute the stage into `work.out`. Returns its summary figures (validation score, tokens, ...)."""
        # abstract on purpose: every method says how it is built, and there is no sensible default
        raise NotImplementedError(f"{type(self).__name__} does not say how it is built")


def _completes(default: dict[str, Any], value: Any) -> bool:
    """Whether a block is the default one given in part, and not another method's."""
    return isinstance(value, dict) and value.get("method", default.get("method")) == default.get("method")


def methods_in(room: str) -> dict[str, type[Stage]]:
    """The methods that a package has imported, by name: what its part of params.yaml chooses from."""
    found = [
        value for value in vars(sys.modules[room]).values() if isinstance(value, type) and issubclass(value, Stage)
    ]
    return {name_of(method): method for method in found if "method" in method.model_fields}


def name_of(method: type[Stage]) -> str:
    """What params.yaml calls a method."""
    return str(get_args(method.model_fields["method"].annotation)[0])


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces. Raises on NaN and on values that JSON cannot express."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def make_key(kind: str, value: object) -> str:
    """`<kind>-<first 16 hex digits of the sha256 of the canonical form>`: 64 bits, ample for a team's lifetime."""
    return f"{kind}-{hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]}"
