"""Build request: one step and everything needed to build it, sent between processes as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transferline.core.runtime import Runtime
from transferline.recipes.chain import Step
from transferline.recipes.registry import read_stage


@dataclass(frozen=True)
class Request:
    """One step to build, the paths of its data, the runtime, and the MLflow run that it belongs to."""

    step: Step
    data: Mapping[str, Path]
    runtime: Runtime
    run_id: str = ""
    experiment: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.step.key

    @property
    def title(self) -> str:
        return self.step.title

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON. `from_json` restores an equal request with the same key."""
        step = {**vars(self.step), "stage": self.step.stage.model_dump(mode="json")}
        data = {role: str(path) for role, path in self.data.items()}
        return {**vars(self), "step": step, "data": data, "runtime": self.runtime.model_dump(), "tags": dict(self.tags)}

    @classmethod
    def from_json(cls, declared: Mapping[str, Any]) -> Request:
        """The request that `to_json` wrote. JSON has no tuples, which the step's identity needs: they are restored here."""
        step = dict(declared["step"])
        step["stage"] = read_stage(step["kind"], step["stage"])
        step["parents"] = tuple(step["parents"])
        step["data"] = tuple((role, md5) for role, md5 in step["data"])
        data = {role: Path(path) for role, path in declared["data"].items()}
        runtime = Runtime.model_validate(declared["runtime"])
        return cls(Step(**step), data, runtime, declared["run_id"], declared["experiment"], declared["tags"])
