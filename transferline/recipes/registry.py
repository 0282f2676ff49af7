"""The registry of all methods by name, and the union types with which params.yaml selects one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from transferline.core.stage import Stage, StageKind
from transferline.diagnosis.target_diagnosis import Diagnose
from transferline.inference.prediction import Predict
from transferline.methods import feature, instance, multitask, objectives, parameter
from transferline.methods.controls.majority import Majority
from transferline.methods.controls.scratch import Scratch
from transferline.methods.controls.tfidf import Tfidf
from transferline.methods.label_budget import Labels
from transferline.models.bases import FetchedBase, FolderBase, HubBase, PackageBase
from transferline.models.embedding_table import StaticBase
from transferline.models.gguf import GgufBase
from transferline.models.random_init import FeaturesBase, RandomBase

ADAPTING: dict[str, type[Stage]] = {
    **objectives.METHODS,
    **instance.SELECTING,
    **multitask.ADAPTING,
    **feature.ADAPTING,
}
INSTANCES: dict[str, type[Stage]] = instance.INSTANCES
TUNING: dict[str, type[Stage]] = {**parameter.METHODS, **feature.TUNING, **multitask.TUNING}

BASES: tuple[type[FetchedBase], ...] = (
    PackageBase,
    FolderBase,
    HubBase,
    GgufBase,
    StaticBase,
    FeaturesBase,
    RandomBase,
)

if TYPE_CHECKING:
    Base = FetchedBase
    Adaptation = Stage
    Instances = Stage
    Tuning = Stage
else:
    # discriminated unions, so that pydantic's errors name the field and the method
    Base = Annotated[reduce(or_, BASES), Field(discriminator="method")]
    Adaptation = Annotated[reduce(or_, ADAPTING.values()), Field(discriminator="method")]
    Instances = Annotated[reduce(or_, INSTANCES.values()), Field(discriminator="method")]
    Tuning = Annotated[reduce(or_, TUNING.values()), Field(discriminator="method")]

_CHOICES: Mapping[StageKind, Any] = {
    "base": Base,
    "select": Annotated[
        reduce(or_, [*ADAPTING.values(), *INSTANCES.values(), Labels, Diagnose]), Field(discriminator="method")
    ],
    "adapt": Adaptation,
    "tune": Tuning,
    "control": Annotated[Scratch | Tfidf | Majority, Field(discriminator="method")],
    "predict": Predict,
}


def read_stage(kind: StageKind, declared: Mapping[str, Any]) -> Stage:
    """Load a stage from the output of `stage.model_dump(mode="json")`. Raises ValidationError if it is not a valid stage."""
    reader: TypeAdapter[Any] = TypeAdapter(_CHOICES[kind])
    return reader.validate_python(declared)
