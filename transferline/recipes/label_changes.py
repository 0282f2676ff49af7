"""Labels that came or went since the champion was trained.

A label that the champion does not know is no obstacle: it is wrong on the rows of that label. A label that it knows and that the
data no longer have needs a word of the owner, because the champion goes on predicting it: the entry `former_labels` of the
target.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transferline.core.errors import InputError
from transferline.data.declarations import TargetSpec
from transferline.targets import labels_of_model, target_of


@dataclass(frozen=True)
class LabelChanges:
    """Labels that the data have and the champion does not know (`new`), and the reverse (`gone`). Both are sorted."""

    new: tuple[str, ...]
    gone: tuple[str, ...]

    def sentences(self, spec: TargetSpec) -> list[str]:
        """One sentence for each change, for `plan` and the report."""
        said = [f"label {label!r} is new: the champion is wrong on its rows" for label in self.new]
        for label in self.gone:
            if spec.former_labels == "fresh":
                said.append(f"label {label!r} is gone: the champion is not compared with (`former_labels: fresh`)")
            else:
                said.append(f"label {label!r} of the champion is {_meaning(spec.former_labels.get(label))}")
        return said

    def fresh(self, spec: TargetSpec) -> bool:
        """Whether the champion is not compared with, because it predicts labels that are gone and a fresh start is declared."""
        return bool(self.gone) and spec.former_labels == "fresh"


def label_changes(champion: Path, train: Path) -> LabelChanges:
    """Compare the labels of a champion's folder with those of a prepared training split."""
    known, now = set(labels_of_model(champion)), set(labels_of_split(train))
    return LabelChanges(tuple(sorted(now - known)), tuple(sorted(known - now)) if now else ())


def labels_of_split(train: Path) -> list[str]:
    """Names of the labels in a prepared training split, or types of its spans. Empty for kinds without labels."""
    target = target_of(train)
    if target.name == "tokens":
        return sorted({label[2:] for label in target.labels if len(label) > 2})
    return target.labels if target.name in ("single-label", "multi-label") else []


def check_label_changes(target: str, spec: TargetSpec, changes: LabelChanges, now: Sequence[str]) -> None:
    """Raise InputError on a label that is gone without a declared meaning, and on a declaration that names no label."""
    if spec.former_labels == "fresh":
        return
    for old, new in spec.former_labels.items():
        names = (new,) if isinstance(new, str) else new or ()
        for name in names:
            if now and name not in now:
                near = difflib.get_close_matches(name, now, 1)
                hint = f"Did you mean {near[0]!r}?" if near else f"There are {sorted(now)}"
                raise InputError(
                    f"target {target!r}, former_labels", f"{old!r} became {name!r}, which no row has", hint
                )
    unexplained = [label for label in changes.gone if label not in spec.former_labels]
    if unexplained:
        example = ", ".join(f"{label}: null" for label in unexplained)
        one = unexplained[0]
        mend = (
            f"Declare what became of them: `former_labels: {{{example}}}` where they were withdrawn, `{one}: NEW` where it was "
            f"renamed or merged into NEW, `{one}: [A, B]` where it was split. Or start anew: `former_labels: fresh`"
        )
        what = f"its champion predicts labels that the data no longer have: {unexplained}"
        raise InputError(f"target {target!r}", what, mend)


def renames(spec: TargetSpec) -> dict[str, str]:
    """Former labels that have one new name each."""
    former = {} if spec.former_labels == "fresh" else spec.former_labels
    return {old: new for old, new in former.items() if isinstance(new, str)}


def _meaning(new: str | Sequence[str] | None) -> str:
    if isinstance(new, str):
        return f"{new!r} now"
    became = f"split into {list(new)} now" if new else "withdrawn"
    return f"{became}: the champion is wrong where it predicts it"
