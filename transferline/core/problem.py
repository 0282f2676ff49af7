"""Domain, Task and Setting: the terms of transfer learning.

After Pan & Yang, "A Survey on Transfer Learning" (2010), section 2. A domain is a feature space with a marginal distribution,
D = (X, P(X)). A task is a label space with a predictive function, T = (Y, f). The kind of transfer follows from which of these
differ between source and target, and it decides which methods are admissible.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from transferline.core.errors import InputError

Transfer = Literal["parameter", "feature", "instance"]
"""What a method carries over: weights, a representation, or examples (Pan & Yang 2010, table 4)."""

Need = Literal["known source", "same inputs", "same labels", "same relation"]
"""What a method asks of source and target: the source's examples, the same X, the same Y, the same P(y|x)."""

TargetKind = Literal["single-label", "multi-label", "regression", "tokens", "generation"]
"""What a target's labels are: one of several, any of several, a number, a tag for each word, or a text."""

Ability = Literal[
    "masked LM",
    "next sentence",
    "causal LM",
    "permuted LM",
    "denoising",
    "encode",
    "rows",
    "classify",
    "tag",
    "generate",
    "prefixes",
    "bottlenecks",
]
"""What a method may ask of a base's architecture; models/families.py says which architectures can do what."""

IGNORED_LABEL = -100  # torch's and transformers' ignore_index: positions that are in no loss

ALIGNING: tuple[Need, ...] = ("known source", "same inputs", "same labels")
WEIGHING: tuple[Need, ...] = (*ALIGNING, "same relation")


@dataclass(frozen=True)
class Domain:
    """An input space X and a distribution P(X), known only through a versioned corpus.

    `corpus` is the md5 of the text that represents P(X), or None if the text is not available (as of a public base's corpus).
    """

    name: str
    space: str = "text"
    corpus: str | None = None


@dataclass(frozen=True)
class Task:
    """A label space Y and a function f, known only through labelled examples (`examples`: their md5)."""

    name: str
    labels: frozenset[str] = field(default_factory=frozenset)
    examples: str | None = None


class Setting(StrEnum):
    """What kind of transfer a source and a target make."""

    IDENTICAL = "identical"
    DOMAIN_ADAPTATION = "domain adaptation"
    HETEROGENEOUS = "heterogeneous"
    INDUCTIVE = "inductive"
    UNKNOWN = "unknown"

    @staticmethod
    def derive(source: tuple[Domain, Task | None], target: tuple[Domain, Task]) -> Setting:
        """Derive the setting of a source and a target, each a domain with its task.

        It is `UNKNOWN` if the source's corpus or task is not known. The setting may then be declared, but is never guessed.
        """
        (source_domain, source_task), (target_domain, target_task) = source, target
        if source_domain.space != target_domain.space:
            return Setting.HETEROGENEOUS
        if source_domain.corpus is None or source_task is None or source_task.examples is None:
            return Setting.UNKNOWN
        if source_task.labels != target_task.labels:
            return Setting.INDUCTIVE
        if source_domain.corpus != target_domain.corpus:
            return Setting.DOMAIN_ADAPTATION
        return Setting.IDENTICAL if source_task.examples == target_task.examples else Setting.INDUCTIVE

    def lacks(self, needs: Iterable[Need]) -> list[str]:
        """One reason for each need of a method that this setting does not meet."""
        return [_WHY[need] for need in needs if need in _MISSING[self]]

    def admits(self, needs: Iterable[Need]) -> bool:
        """Whether this setting admits a method with these needs."""
        return not self.lacks(needs)

    def admit(self, needs: Iterable[Need], who: str) -> None:
        """Raise InputError, with the reasons, if this setting does not admit a method with these needs.

        Instance transfer weighs source examples, so it needs the same X, Y and P(y|x) (Pan & Yang 2010, section 3.1). Feature
        transfer aligns two known distributions over one X. Parameter transfer is admissible in every setting.
        """
        reasons = self.lacks(needs)
        if reasons:
            mend = "Use a recipe of parameter transfer, or declare the setting where you know the source"
            raise InputError(who, f"not admissible in the setting {self.value!r}: {'; '.join(reasons)}", mend)


_WHY: dict[Need, str] = {
    "known source": "nothing is known about the source's examples, so there is nothing to weigh or to align",
    "same inputs": "source and target do not share an input space",
    "same labels": "source and target do not have the same labels",
    "same relation": "a source example's label need not be the target's: the relation between input and label differs",
}
_MISSING: dict[Setting, tuple[Need, ...]] = {
    Setting.UNKNOWN: WEIGHING,
    Setting.HETEROGENEOUS: ("same inputs", "same relation"),
    Setting.INDUCTIVE: ("same labels", "same relation"),
    Setting.IDENTICAL: (),
    Setting.DOMAIN_ADAPTATION: (),
}
