"""Predictions of one model on a test, for each kind of task. They are kept, so that every later comparison is cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from transferline.core.problem import TargetKind
from transferline.evaluation.text_overlap import chrf, chrf_counts


@dataclass(frozen=True)
class Predictions:
    """n test examples with one label each: y_true as label indices (n,), outputs as probabilities (n, labels)."""

    kind: ClassVar[TargetKind] = "single-label"

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    y_true: np.ndarray
    outputs: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """The model's decision for each example, in the form of `y_true`."""
        return self.outputs.argmax(axis=1)

    @property
    def probabilities(self) -> np.ndarray:
        """Shape (n, labels)."""
        return self.outputs

    @property
    def quality(self) -> np.ndarray:
        """How good each answer is, (n,): what two models are compared by, example by example."""
        return (self.predicted == self.y_true).astype(float)

    @cached_property
    def evidence(self) -> dict[str, np.ndarray]:
        """What metrics have worked out of each example, kept: a bootstrap asks for it again and again."""
        return {}

    def rows(self, keep: np.ndarray) -> Predictions:
        """The same predictions on some of the examples (a boolean mask)."""
        return type(self)(tuple(np.array(self.ids)[keep]), self.labels, self.y_true[keep], self.outputs[keep])

    def columns(self) -> dict[str, Any]:
        """Label, predicted and, where there are some, probabilities: the columns of the table."""
        names = np.array(self.labels)
        return {"label": names[self.y_true], "predicted": names[self.predicted], **self._probabilities()}

    def _probabilities(self) -> dict[str, Any]:
        return {f"p:{label}": self.outputs[:, i].astype(np.float32) for i, label in enumerate(self.labels)}

    @classmethod
    def from_table(cls, table: Any, labels: tuple[str, ...]) -> Predictions:
        """The predictions of a table that `columns` made."""
        index = {label: i for i, label in enumerate(labels)}
        y_true = np.array([index[label] for label in table["label"]])
        return cls(tuple(table["id"]), labels, y_true, _floats(table, labels))

    def over(self, labels: tuple[str, ...]) -> Predictions:
        """The same predictions over a longer list of labels. A model never predicts a label that it does not know."""
        if labels == self.labels:
            return self
        places = [labels.index(label) for label in self.labels]
        outputs = np.zeros((len(self.ids), len(labels)))
        outputs[:, places] = self.outputs
        return type(self)(self.ids, labels, self._moved(np.array(places, dtype=int), len(labels)), outputs)

    def _moved(self, places: np.ndarray, count: int) -> np.ndarray:
        """Labels in the numbers of another list, in which label i has the number places[i]."""
        return places[self.y_true] if len(places) else self.y_true

    def renamed(self, names: Mapping[str, str]) -> Predictions:
        """The same predictions with some of the model's labels under new names. Labels with one name are joined."""
        new = tuple(sorted({names.get(label, label) for label in self.labels}))
        places = np.array([new.index(names.get(label, label)) for label in self.labels], dtype=int)
        outputs = np.zeros((len(self.ids), len(new)))
        for old, place in enumerate(places):
            outputs[:, place] = self._joined(outputs[:, place], self.outputs[:, old])
        return type(self)(self.ids, new, self._moved(places, len(new)), outputs)

    @staticmethod
    def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Probability of either of two labels, of which an example has one."""
        return one + other


class ManyLabels(Predictions):
    """Any of several labels: y_true (n, labels) of bools, outputs as independent probabilities (n, labels)."""

    kind: ClassVar[TargetKind] = "multi-label"

    @cached_property
    def predicted(self) -> np.ndarray:
        return self.outputs >= 0.5

    @property
    def quality(self) -> np.ndarray:
        return (self.predicted == self.y_true).all(axis=1).astype(float)

    def _moved(self, places: np.ndarray, count: int) -> np.ndarray:
        moved = np.zeros((len(self.ids), count), dtype=bool)
        for old, place in enumerate(places):
            moved[:, place] |= self.y_true[:, old]
        return moved

    @staticmethod
    def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.maximum(one, other)  # at least one of two labels that an example may both have

    def columns(self) -> dict[str, Any]:
        named = {
            name: [[self.labels[i] for i in np.flatnonzero(row)] for row in rows]
            for name, rows in (("label", self.y_true), ("predicted", self.predicted))
        }
        return {**named, **self._probabilities()}

    @classmethod
    def from_table(cls, table: Any, labels: tuple[str, ...]) -> Predictions:
        y_true = np.array([[label in row for label in labels] for row in table["label"]], dtype=bool)
        return cls(tuple(table["id"]), labels, y_true.reshape(-1, len(labels)), _floats(table, labels))


class _Unlabelled(Predictions):
    """Predictions of kinds whose scores do not depend on a list of labels."""

    def over(self, labels: tuple[str, ...]) -> Predictions:
        return type(self)(self.ids, labels, self.y_true, self.outputs)

    def renamed(self, names: Mapping[str, str]) -> Predictions:
        return self


class Numbers(_Unlabelled):
    """A number for each example: y_true and outputs (n,)."""

    kind: ClassVar[TargetKind] = "regression"

    @cached_property
    def predicted(self) -> np.ndarray:
        return self.outputs

    @property
    def quality(self) -> np.ndarray:
        return -np.abs(self.outputs - self.y_true)

    def columns(self) -> dict[str, Any]:
        return {"label": self.y_true, "predicted": self.outputs}

    @classmethod
    def from_table(cls, table: Any, labels: tuple[str, ...]) -> Predictions:
        return cls(tuple(table["id"]), (), *(table[c].to_numpy(dtype=float) for c in ("label", "predicted")))


class Tags(_Unlabelled):
    """A tag for each word: y_true and outputs (n,) of tuples of tags. `labels` are the types of span."""

    kind: ClassVar[TargetKind] = "tokens"

    @cached_property
    def predicted(self) -> np.ndarray:
        return self.outputs

    @property
    def quality(self) -> np.ndarray:
        return np.array([said == true for said, true in zip(self.outputs, self.y_true, strict=True)], dtype=float)

    def renamed(self, names: Mapping[str, str]) -> Predictions:
        def new(tag: str) -> str:
            return tag[:2] + names.get(tag[2:], tag[2:])

        rows = [tuple(new(tag) for tag in row) for row in self.outputs]
        labels = tuple(sorted({names.get(label, label) for label in self.labels}))
        return type(self)(self.ids, labels, self.y_true, objects(rows))

    def columns(self) -> dict[str, Any]:
        return {"label": [list(row) for row in self.y_true], "predicted": [list(row) for row in self.outputs]}

    @classmethod
    def from_table(cls, table: Any, labels: tuple[str, ...]) -> Predictions:
        y_true, said = (objects([tuple(row) for row in table[column]]) for column in ("label", "predicted"))
        types = sorted({tag[2:] for row in y_true for tag in row if tag != "O"})
        return cls(tuple(table["id"]), tuple(types), y_true, said)


class Texts(_Unlabelled):
    """A text for each example: y_true and outputs (n,) of str."""

    kind: ClassVar[TargetKind] = "generation"

    @cached_property
    def predicted(self) -> np.ndarray:
        return self.outputs

    @cached_property
    def quality(self) -> np.ndarray:
        return chrf(chrf_counts(self.predicted, self.y_true))

    def columns(self) -> dict[str, Any]:
        return {"label": list(self.y_true), "predicted": list(self.outputs)}

    @classmethod
    def from_table(cls, table: Any, labels: tuple[str, ...]) -> Predictions:
        return cls(tuple(table["id"]), (), objects(list(table["label"])), objects(list(table["predicted"])))


PREDICTIONS: Mapping[TargetKind, type[Predictions]] = {
    kind.kind: kind for kind in (Predictions, ManyLabels, Numbers, Tags, Texts)
}


def over_one_list(models: Sequence[Predictions]) -> list[Predictions]:
    """Predictions of several models on one test over one list of labels: those of the test and of all models.

    Scored over its own list each, a model that does not know a label of the test would not be charged for it by macro-F1.
    """
    labels = tuple(sorted({label for made in models for label in made.labels}))
    return [made.over(labels) for made in models]


def objects(values: Sequence[Any]) -> np.ndarray:
    """A one-dimensional array of Python objects, tuples left whole."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def _floats(table: Any, labels: Sequence[str]) -> np.ndarray:
    return table[[f"p:{label}" for label in labels]].to_numpy(dtype=np.float64)
