"""Checks of a target's rows: suspicious labels, texts, groups and numbers, with counts and examples.

The level of each check is declared by `checks` of the target. The profile lists all findings, whatever their level.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from transferline.core.errors import InputError, counted
from transferline.data.check_levels import Checks, Level
from transferline.data.declarations import Split, TargetSpec
from transferline.data.label_checks import names_of
from transferline.data.prepared_files import tell
from transferline.data.split import Example, fingerprint

SHOWN = 3  # examples a finding names
FAR = 10.0  # interquartile ranges beyond a quartile: rarer than one number in 10^40 of a normal distribution
_MISSING = re.compile(r"<?(nan|nat|null|none|nil|na|n/a|#n/a|undefined)>?", re.IGNORECASE)
_HYPHEN = re.compile(r"(?<=[^\W\d])[-_]+(?=[^\W\d])")
RowsOfSplits = Mapping[Split, Sequence[Example]]


@dataclass(frozen=True)
class RowFinding:
    """Result of one check: the number of rows or labels concerned, and examples."""

    check: str
    level: Level
    count: int
    what: str
    examples: tuple[str, ...]
    where: str
    """file and row of the first example"""

    def __str__(self) -> str:
        return f"{self.what}: {'; '.join(self.examples)}"


def find_suspicious(spec: TargetSpec, splits: RowsOfSplits) -> list[RowFinding]:
    """The findings of all checks that apply to the target's kind, in the order of `Checks`."""
    found = []
    for check in Checks.model_fields:
        level = getattr(spec.checks, check) or _level_of_conflicts(spec)
        for count, what, examples, where in _CHECKS[check](spec, splits):
            found.append(RowFinding(check, level, count, what, tuple(examples[:SHOWN]), where))
    return found


def apply_checks(name: str, spec: TargetSpec, splits: RowsOfSplits) -> list[dict[str, object]]:
    """Report the findings on stderr. Raises InputError on the first of level `error`. Returns the profile's section."""
    findings = find_suspicious(spec, splits)
    for finding in findings:
        if finding.level == "warning":
            tell(f"prepare {name}: warning ({finding.check}): {finding}")
    for finding in findings:
        if finding.level == "error":
            mend = f"Correct the rows, or set `checks: {{{finding.check}: warning}}` in params.yaml"
            raise InputError(finding.where or f"target {name}", str(finding), mend)
    return [asdict(finding) for finding in findings]


def _level_of_conflicts(spec: TargetSpec) -> Level:
    """A second label of a text is a mistake in one of the rows, and file order would choose which label is learnt.

    Two ratings of a text differ by nature, also where `bins` cut them into labels, as do replies to it. Rows of few numbers are
    often equal.
    """
    if spec.task == "generation":
        return "ignore"
    rated = spec.task == "regression" or bool(spec.bins)
    return "warning" if rated or spec.features is not None else "error"


Found = Iterator[tuple[int, str, list[str], str]]
"""Count, statement, examples, and the place of the first."""


def _conflicting_labels(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    conflicts = [one for rows in splits.values() for one in _conflicts(rows)]
    if conflicts:
        what = f"{counted(len(conflicts), 'text has', 'texts have')} different labels in one split"
        yield len(conflicts), what, [_told(some) for some in conflicts], conflicts[0][1].where


def _conflicting_copies(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    inside = {fingerprint(some[0].content) for rows in splits.values() for some in _conflicts(rows)}
    across = [some for some in _conflicts(_all(splits)) if fingerprint(some[0].content) not in inside]
    if across:
        what = f"{counted(len(across), 'text has', 'texts have')} different labels in two splits"
        yield len(across), what, [_told(some) for some in across], across[0][1].where


def _conflicts(rows: Iterable[Example]) -> list[list[Example]]:
    """Texts with several labels: for each, the first example of each label."""
    labels: dict[str, dict[object, Example]] = defaultdict(dict)
    for example in rows:
        labels[fingerprint(example.content)].setdefault(example.label, example)
    return [list(some.values()) for some in labels.values() if len(some) > 1]


def _told(some: Sequence[Example]) -> str:
    return f"{_short(some[0].content)} has " + ", ".join(f"{_label(e)} ({e.where})" for e in some[:SHOWN])


def _group_holes(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    rows = [example for example in _all(splits) if example.group == ""]
    if spec.group and rows:
        what = f"{len(rows)} of {sum(1 for _ in _all(splits))} rows have no value in the group column {spec.group!r}"
        yield len(rows), what, [_short(e.content) for e in rows], rows[0].where


def _shared_groups(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    places: dict[str, dict[str, Example]] = defaultdict(dict)
    for split, rows in splits.items():
        for example in rows:
            if example.group:
                places[example.group].setdefault(split, example)
    shared = {group: some for group, some in places.items() if len(some) > 1}
    if shared:
        what = f"{counted(len(shared), 'group', 'groups')} of {spec.group!r} with rows in several declared splits"
        examples = [f"{_short(group)} in {', '.join(some)}" for group, some in shared.items()]
        yield len(shared), what, examples, list(next(iter(shared.values())).values())[-1].where


def _spellings(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    first: dict[str, Example] = {}
    for example in _all(splits):
        for form, spelling in example.spellings:
            spelled[form][spelling] += 1
            first.setdefault(form, example)
    several = {form: counts for form, counts in spelled.items() if len(counts) > 1}
    if several:
        what = f"{counted(len(several), 'label is', 'labels are')} spelled in several ways and read as one"
        examples = [f"{_counted(counts, ascii)} as {form!r}" for form, counts in several.items()]
        yield len(several), what, examples, first[next(iter(several))].where


def _similar_labels(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    counts = _label_counts(splits)
    alike: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        alike[_key(label)].append(label)
    several = [sorted(labels) for labels in alike.values() if len(labels) > 1]
    if several:
        what = f"{sum(map(len, several))} labels look alike"
        yield sum(map(len, several)), what, [_counted({n: counts[n] for n in names}, ascii) for names in several], ""


def _missing_words(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    rows, words = [], Counter[str]()
    for example in _all(splits):
        labels = [] if spec.task in ("regression", "tokens") else names_of(example)
        spelled = [text for text in (example.text, example.pair, *labels) if text and _MISSING.fullmatch(text)]
        if spelled:
            rows.append(example)
            words.update(spelled)
    if rows:
        what = f"{counted(len(rows), 'row has', 'rows have')} a text or label that spells a missing value"
        yield len(rows), what, [_counted({word: n}) for word, n in words.most_common()], rows[0].where


def _one_split(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    counts = _label_counts(splits)
    seen = {split: _label_counts({split: rows}) for split, rows in splits.items()}
    lacking = {label: [split for split in splits if label not in seen[split]] for label in counts}
    lacking = {label: some for label, some in lacking.items() if some}
    if lacking:
        examples = [f"{label!r} ({counts[label]} rows) not in {', '.join(some)}" for label, some in lacking.items()]
        yield len(lacking), f"{counted(len(lacking), 'label does', 'labels do')} not occur in every split", examples, ""


def _single_rows(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    counts = _label_counts({"train": splits["train"]})
    single = [label for label, count in sorted(counts.items()) if count == 1]
    if single:
        what = f"{counted(len(single), 'label has', 'labels have')} one training row"
        yield len(single), what, [repr(label) for label in single], ""


def _outliers(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    rows = list(_all(splits)) if spec.task == "regression" else []
    numbers = np.array([example.label for example in rows], dtype=float)
    if not len(numbers):
        return
    low, first, third, high = np.percentile(numbers, [5, 25, 75, 95])
    if first == third:  # half of the numbers are equal: their tails give the scale
        first, third = low, high
    beyond = np.maximum(first - numbers, numbers - third)
    far = np.flatnonzero((beyond > FAR * (third - first)) & (first < third))
    if len(far):
        what = f"{counted(len(far), 'number lies', 'numbers lie')} far from all others (half lie from {first:g} to {third:g})"
        yield len(far), what, [f"{numbers[i]:g} ({rows[i].where})" for i in far], rows[far[0]].where


def _identical_texts(spec: TargetSpec, splits: RowsOfSplits) -> Found:
    for split, rows in splits.items():
        times: Counter[tuple[str, object]] = Counter()
        first: dict[tuple[str, object], Example] = {}
        for example in rows:
            name = (fingerprint(example.content), example.label)
            times[name] += 1
            first.setdefault(name, example)
        repeated = [(name, n) for name, n in times.most_common() if n > 1]
        if repeated:
            count = sum(n - 1 for _, n in repeated)
            what = f"{counted(count, 'row repeats', 'rows repeat')} an earlier text and its label in {split}"
            examples = [f"{_short(first[name].content)} {n} times" for name, n in repeated]
            yield count, what, examples, first[repeated[0][0]].where


_CHECKS: dict[str, Callable[[TargetSpec, RowsOfSplits], Found]] = {
    "conflicting_labels": _conflicting_labels,
    "conflicting_copies": _conflicting_copies,
    "group_holes": _group_holes,
    "shared_groups": _shared_groups,
    "spellings": _spellings,
    "similar_labels": _similar_labels,
    "missing_words": _missing_words,
    "one_split": _one_split,
    "single_rows": _single_rows,
    "outliers": _outliers,
    "identical_texts": _identical_texts,
}


def _all(splits: RowsOfSplits) -> Iterator[Example]:
    return (example for rows in splits.values() for example in rows)


def _label_counts(splits: RowsOfSplits) -> Counter[str]:
    """Rows of each label. Numbers and texts to generate are no labels of this kind."""
    rows = (example for example in _all(splits) if example.kind not in ("regression", "generation"))
    return Counter(label for example in rows for label in names_of(example))


def _key(label: str) -> str:
    """What labels share that look alike: compatible characters, without case, white space, hyphens and invisible characters."""
    folded = _HYPHEN.sub("", unicodedata.normalize("NFKC", label).casefold())
    return "".join(char for char in folded if unicodedata.category(char)[0] not in "CZ")


def _counted(counts: Mapping[str, int], show: Callable[[str], str] = repr) -> str:
    """Names with their counts. `ascii` as `show` tells spellings apart that look the same."""
    return ", ".join(f"{show(name)} ({count} rows)" for name, count in counts.items())


def _label(example: Example) -> str:
    return _short(example.label) if isinstance(example.label, str) else str(example.label)[:60]


def _short(text: str) -> str:
    return repr(text if len(text) <= 50 else text[:47] + "...")
