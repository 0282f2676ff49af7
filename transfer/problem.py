"""Domain, Task and Setting: the vocabulary, straight from the field's definitions.

After Pan & Yang, "A Survey on Transfer Learning" (2010), section 2: a domain is a feature space with a marginal
distribution, D = (X, P(X)); a task is a label space with a predictive function, T = (Y, f). Which of the two differ
between source and target says what kind of transfer this is, and with it which methods make sense at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from transfer.errors import InputError

Transfer = Literal["parameter", "feature", "instance"]
"""What a method carries over: weights, a representation, or examples (Pan & Yang 2010, table 4)."""


@dataclass(frozen=True)
class Domain:
    """An input space X and a distribution P(X), which we know only through a versioned corpus.

    `corpus` is the md5 of the text that stands for P(X); None where nobody has it (a public base's corpus).
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
        """The setting of a source and a target, each a domain with its task.

        It is `UNKNOWN` as soon as the source's corpus or task is not known; then it may be declared, never guessed.
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

    def admits(self, transfer: Transfer) -> bool:
        """Whether this setting admits a method of that kind."""
        try:
            self.admit(transfer, "")
        except InputError:
            return False
        return True

    def admit(self, transfer: Transfer, method: str) -> None:
        """Raise InputError where this setting does not admit a method of that kind, with the reason.

        Instance transfer weighs source examples and so needs the same X, Y and P(y|x) (Pan & Yang 2010, section 3.1);
        feature transfer aligns two known distributions over one X. Weights may be carried over in every setting.
        """
        if transfer == "parameter":
            return
        if self is Setting.UNKNOWN:
            why = "nothing is known about the source's examples, so there is nothing to weigh or to align"
        elif transfer == "instance" and self in (Setting.HETEROGENEOUS, Setting.INDUCTIVE):
            why = "instance transfer needs the same inputs, the same labels and the same relation between them"
        elif transfer == "feature" and self is Setting.HETEROGENEOUS:
            why = "source and target do not share an input space"
        else:
            return
        mend = "Use a recipe of parameter transfer, or declare the setting where you know the source"
        raise InputError(f"method {method!r}", f"not admissible in the setting {self.value!r}: {why}", mend)
