"""Every method by name, and the types by which params.yaml chooses among them."""

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
BORROWING: dict[str, type[Stage]] = instance.BORROWING
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
    Borrowing = Stage
    Tuning = Stage
else:
    # unions made at run time: pydantic then says which field of which method is wrong
    Base = Annotated[reduce(or_, BASES), Field(discriminator="method")]
    Adaptation = Annotated[reduce(or_, ADAPTING.values()), Field(discriminator="method")]
    Borrowing = Annotated[reduce(or_, BORROWING.values()), Field(discriminator="method")]
    Tuning = Annotated[reduce(or_, TUNING.values()), Field(discriminator="method")]

_CHOICES: Mapping[StageKind, Any] = {
    "base": Base,
    "select": Annotated[
        reduce(or_, [*ADAPTING.values(), *BORROWING.values(), Labels, Diagnose]), Field(discriminator="method")
    ],
    "adapt": Adaptation,
    "tune": Tuning,
    "control": Annotated[Scratch | Tfidf | Majority, Field(discriminator="method")],
    "predict": Predict,
}


def read_stage(kind: StageKind, declared: Mapping[str, Any]) -> Stage:
    """The stage that `stage.model_dump(mode="json")` described. Raises ValidationError on what is none."""
    reader: TypeAdapter[Any] = TypeAdapter(_CHOICES[kind])
    return reader.validate_python(declared)
