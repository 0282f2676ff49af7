"""What params.yaml may say about data: domains, pairs, audits and targets, as typed models."""

from __future__ import annotations

import posixpath
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from transferline.core.errors import shown
from transferline.core.problem import Setting, TargetKind
from transferline.data.check_levels import Checks
from transferline.data.source_declarations import Declared
from transferline.data.values import is_missing, label_form, normalise

Split = Literal["train", "validation", "test"]
Value = bool | int | float | str
"""A value of a column. Numbers and truth values match every spelling of theirs (see data/values.py)."""
LEAST_SEEDS = 3  # fewer do not allow an estimate of the standard deviation over seeds
WRITTEN = ("data/prepared", "data/corpora", "data/pairs")  # outputs of the stages in dvc.yaml
MOST_SEEDS = 1000  # each seed is a model to train
METRICS_OF: dict[TargetKind, tuple[str, ...]] = {
    "single-label": ("accuracy", "macro_f1"),
    "multi-label": ("micro_f1", "macro_f1", "exact_match"),
    "regression": ("pearson", "spearman", "r2"),
    "tokens": ("span_f1", "token_accuracy"),
    "generation": ("chrf", "bleu", "rouge_l", "exact_match"),
}
"""What each kind may be judged by; the first is the default. All lie in (-1, 1], higher is better."""


Seeds = Annotated[int, Field(ge=LEAST_SEEDS, le=MOST_SEEDS)]


def _readable(data: str) -> str:
    """Check a path of raw data. Raises ValueError if it is a URL, or if DVC would make it depend on its own output."""
    if "://" in data or "\n" in data:
        raise ValueError(f"{shown(data)} is not a path. Download the data first, and name its file or folder")
    # two levels below the top, so that `..` is a folder above the project
    path = PurePosixPath(posixpath.normpath(f"/above/project/{data}" if not data.startswith("/") else data))
    for name in WRITTEN:
        written = PurePosixPath("/above/project", name)
        if path == written or path in written.parents or written in path.parents:
            raise ValueError(f"{shown(data)} holds files that the data stages write. Name a folder of raw data")
    return data


DataPath = Annotated[str, AfterValidator(_readable)]


class Read(Declared):
    """Options for reading one file or a folder of files.

    Tables are csv, tsv, tab, jsonl, parquet, or txt with one text per line. Feature matrices are npz, mat or svmlight; their
    rows get the columns `text` and `label`.
    """

    file: str | None = None
    """inside `data`, where that is a folder; left out, every file of the folder is read"""
    where: dict[str, Value | tuple[Value, ...]] = {}
    """keep the rows whose columns have these values, or one of several"""
    columns: tuple[str, ...] = ()
    """names for a table without a header"""
    skip_lines: Annotated[int, Field(ge=0)] = 0
    """lines before the table begins"""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """between the fields of a table; left out, by the file's suffix and its header"""
    quoting: Literal["none", "minimal"] | None = None
    """minimal: fields may stand in double quotes; none: a quote is text; left out, none for tabs and minimal for others"""
    format: Literal["auto", "conll"] = "auto"
    """auto: by the file's suffix; conll: a word and its tag a line, tag last, blank lines between sentences"""
    arrays: tuple[str, str] = ("X", "y")
    """npz and mat: names of the matrix (rows are examples) and of its labels"""
    first_column: Literal[0, 1] | None = None
    """svmlight: number of the first column; left out, all files of the target decide it together"""


class Share(Declared):
    """Shares of the rows for splits that the data does not bring along."""

    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _leaves_training(self) -> Share:
        if self.test + self.validation >= 1:
            raise ValueError("test and validation together must leave something to train on")
        return self


class Gate(Declared):
    """The leak gate: what happens to copies of test rows."""

    policy: Literal["purge", "strict"] = "purge"
    """purge: copies leave the training side; strict: stop where there is one"""
    near: Annotated[float, Field(gt=0, le=1)] = 0.8
    """share of characters in common from which two texts are near copies; white space, punctuation, case and markup do not count"""


class DomainSpec(Declared):
    """Raw text that stands for a domain's P(X)."""

    data: DataPath
    read: Read = Read()
    text: str = "text"
    html: bool = False
    limit: Annotated[int, Field(ge=1)] | None = None
    gate: Gate = Gate()


class PairSpec(Declared):
    """A source task whose labelled examples a target may learn from.

    Training and validation rows of the source are used, purged of copies of the target's test and validation rows.
    """

    source: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]
    """domain/target that lends"""
    target: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]
    """domain/target that learns"""
    setting: Setting | None = None
    """declared where it is known better than it can be derived from domains and labels"""
    gate: Gate = Gate()

    @property
    def source_task(self) -> str:
        return self.source.split("/")[1]

    @property
    def learner(self) -> str:
        return self.target.split("/")[1]


class AuditSpec(Declared):
    """Paired sentences that differ only in a group of people. An unbiased model gives both the same prediction."""

    data: DataPath
    read: Read = Read()
    first: str
    """column of the first sentence, or of the words that fill it in"""
    second: str
    """column of the second"""
    template: str | None = None
    """column of a sentence with `[MASK]`, which `first` and `second` fill in"""
    kind: str | None = None
    """column that says what the pair is about: gender, age, religion"""


class TargetSpec(Declared):
    """A labelled task in a domain, and what counts as better on it."""

    domain: str
    data: DataPath
    read: dict[Split, Read] = {"train": Read()}
    task: TargetKind = "single-label"
    text: str = "text"
    """column of the text (tokens: of the list of words)"""
    features: Annotated[int, Field(ge=1)] | None = None
    """columns of a feature matrix, where examples are rows of numbers instead of texts"""
    pair: str | None = None
    """column of the second text, where the task is about two"""
    label: str = "label"
    """column of the label, the labels, the number, the list of tags, or the text to generate"""
    former_labels: dict[str, str | tuple[str, ...] | None] | Literal["fresh"] = {}
    """labels that the champion knows and the data no longer have: old label -> new label (renamed or merged), a list of new labels
    (split), or null (withdrawn). fresh: such a champion is not compared with"""
    separator: Annotated[str, Field(min_length=1)] = ";"
    """between the labels of a multi-label row that is not a list"""
    lists: Literal["refuse", "parse"] = "refuse"
    """a text that is a list in brackets, such as "['x', 'y']", where several labels, words or tags are expected"""
    labels: dict[str | int, str] = {}
    """value in the data -> name of the label; empty: the values are the names"""
    bins: tuple[float, ...] = ()
    """edges that cut a number in the data into labels: 0 below the first, 1 from there to the second, and so on"""
    group: str | None = None
    """rows with the same value here stay in one split"""
    slices: tuple[str, ...] = ()
    """columns by whose values `compare` looks at parts of the test (source, customer, channel)"""
    html: bool = False
    skip_empty: bool = False
    """leave out rows without text or label, instead of stopping at them; 0, false and an empty list are values"""
    split: Share = Share()
    limit: dict[Split, Annotated[int, Field(ge=1)]] = {}
    """at most so many rows of a split, label shares kept"""
    least: Annotated[int, Field(ge=1)] = 5
    """a label with fewer rows than this stops `prepare`"""
    checks: Checks = Checks()
    gate: Gate = Gate()
    recipe: str = "default"
    metric: str = ""
    """what the verdict is about; empty: the first that the kind of task offers"""
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.02
    """non-inferiority margin on `metric`"""
    proof: Literal["superior", "margin"] = "superior"
    """what a model must show against controls without transfer: be better, or not be worse by more than `margin`"""
    fallback: Literal["control", "none"] = "control"
    """control: where adaptation did not pay, the unadapted model is the candidate"""
    seeds: Seeds = 3

    @field_validator("bins")
    @classmethod
    def _ascend(cls, bins: tuple[float, ...]) -> tuple[float, ...]:
        if any(above <= below for below, above in pairwise(bins)):
            raise ValueError("the edges must ascend")
        return bins

    @model_validator(mode="after")
    def _names_labels(self) -> TargetSpec:
        forms: dict[str, str] = {}
        for value, name in self.labels.items():
            if is_missing(name):
                raise ValueError(f"labels: the name of {value!r} is empty")
            form = label_form(value)
            if normalise(name) != forms.setdefault(form, normalise(name)):
                raise ValueError(
                    f"labels: {form!r} has two names, {forms[form]!r} and {name!r}; 1 and 1.0 are one value"
                )
        return self

    @model_validator(mode="after")
    def _has_training(self) -> TargetSpec:
        if "train" not in self.read:
            raise ValueError("read: the entry `train` is missing")
        if self.features is not None and (self.pair is not None or self.task in ("tokens", "generation")):
            raise ValueError("features: rows of numbers have one label, several, or a number, and no second text")
        if self.pair is not None and self.task in ("tokens", "generation"):
            raise ValueError(f"pair: a second text has no place in a task of kind {self.task!r}")
        offered = METRICS_OF[self.task]
        if self.metric not in ("", *offered):
            raise ValueError(f"metric: {self.metric!r} does not judge a task of kind {self.task!r}; {offered} do")
        return self

    @property
    def space(self) -> str:
        """The input space X, by name."""
        return "text" if self.features is None else f"{self.features} features"

    @property
    def judged_by(self) -> str:
        """The metric of the verdict."""
        return self.metric or METRICS_OF[self.task][0]
