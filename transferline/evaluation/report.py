"""The report of a retrain: every model's scores with intervals, the comparisons, and the test's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from transferline.core.problem import TargetKind
from transferline.data.fingerprints import unseen
from transferline.evaluation.calibration import calibration_error
from transferline.evaluation.clean_rows import clean_scores
from transferline.evaluation.metrics import METRICS, measure, per_class
from transferline.evaluation.predictions import Predictions, over_one_list
from transferline.evaluation.significance import Interval, PairedComparison, compare, score
from transferline.evaluation.verdict import CHAMPION, Candidate

SHOWN_LABELS = 10  # labels that a note names
CONTROLS = ("unadapted", "scratch", "tfidf")


@dataclass(frozen=True)
class Group:
    """The models of one role, one for each seed. `shipped` is the index of the one that validation chose."""

    role: str
    keys: tuple[str, ...]
    predictions: tuple[Predictions, ...]
    folders: tuple[Path, ...]
    shipped: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)  # of the shipped one: latency_ms, model_bytes

    @property
    def key(self) -> str:
        return self.keys[self.shipped]

    def only_shipped(self) -> Group:
        i = self.shipped
        return Group(self.role, (self.keys[i],), (self.predictions[i],), (self.folders[i],), 0, self.figures)

    def on(self, keep: np.ndarray) -> Group:
        rows = tuple(p.rows(keep) for p in self.predictions)
        return Group(self.role, self.keys, rows, self.folders, self.shipped, self.figures)


@dataclass(frozen=True)
class ModelScores:
    """One row of the table: a role's scores over its seeds, and the shipped model's calibration, speed and size."""

    role: str
    key: str
    seeds: int
    scores: Mapping[str, Interval]
    shipped: Mapping[str, Interval]
    std: float  # standard deviation of the target's metric over the seeds
    calibration: float | None
    latency_ms: float
    megabytes: float


@dataclass(frozen=True)
class Report:
    """All evidence about one retrain. `lines` by role, `candidates` in the order in which they may be promoted."""

    metric: str
    rows: int
    lines: Mapping[str, ModelScores]
    candidates: tuple[Candidate, ...]
    classes: Mapping[str, Mapping[str, float]]
    looks: int
    clean: Mapping[str, Interval]
    notes: tuple[str, ...] = ()
    kind: TargetKind = "single-label"
    examples: tuple[tuple[str, str], ...] = ()
    """truth and answer of some rows, where an answer is a text"""

    def flat(self) -> dict[str, float]:
        """The figures under names fit for a tracker."""
        figures: dict[str, float] = {"test/rows": float(self.rows), "test/looks": float(self.looks)}
        for role, line in self.lines.items():
            for metric, interval in line.scores.items():
                figures[f"test/{role}/{metric}"] = interval.value
                figures[f"test/{role}/{metric}/low"], figures[f"test/{role}/{metric}/high"] = (
                    interval.low,
                    interval.high,
                )
            if line.calibration is not None:
                figures[f"test/{role}/calibration_error"] = line.calibration
            figures[f"test/{role}/latency_ms"] = line.latency_ms
            figures[f"test/{role}/megabytes"] = line.megabytes
        for candidate in self.candidates:
            for comparison in candidate.comparisons:
                name, found = f"difference/{candidate.role}-{comparison.other}", comparison.difference
                figures |= {name: found.value, f"{name}/low": found.low, f"{name}/high": found.high}
        return figures


def make_report(
    metric: str,
    groups: Mapping[str, Group],
    champion: Group | None,
    fallback: bool,
    contaminated: Sequence[str],
    looks: int,
) -> Report:
    """Score and compare. Raises ValueError where a candidate has seen a row of the test: that is never scored."""
    groups, champion = _over_one_list(groups, champion)
    challenger = groups["challenger"]
    for group in groups.values():
        for folder in group.folders:
            if not unseen(challenger.predictions[0].ids, folder).all():
                raise ValueError(
                    f"{group.role} model {folder.name} was trained on rows of this test; nothing is scored"
                )
    everyone = {**groups, **({CHAMPION: champion} if champion else {})}
    lines = {role: _line(metric, group) for role, group in everyone.items()}
    fit = unseen(challenger.predictions[0].ids, champion.folders[0]) if champion else np.ones(0, dtype=bool)
    same = groups["unadapted"].keys == challenger.keys
    roles = ["challenger"] if same or not fallback else ["challenger", "unadapted"]
    candidates = tuple(_candidate(metric, groups, role, champion, fit, same) for role in roles)
    classes = per_class(challenger.predictions[challenger.shipped])
    return Report(
        metric,
        len(challenger.predictions[0].ids),
        lines,
        candidates,
        classes,
        looks,
        clean_scores(metric, challenger.predictions[challenger.shipped], contaminated),
        (*_notes(champion, fit, same), *_absent_labels(challenger.predictions[0].kind, classes)),
        challenger.predictions[0].kind,
        _examples(challenger.predictions[challenger.shipped]),
    )


def _over_one_list(groups: Mapping[str, Group], champion: Group | None) -> tuple[dict[str, Group], Group | None]:
    """The groups with all predictions over one list of labels."""
    everyone = [*groups.values(), *([champion] if champion else [])]
    made = iter(over_one_list([one for group in everyone for one in group.predictions]))
    aligned = [replace(group, predictions=tuple(next(made) for _ in group.predictions)) for group in everyone]
    return dict(zip(groups, aligned, strict=False)), aligned[-1] if champion else None


def _examples(shipped: Predictions, some: int = 8) -> tuple[tuple[str, str], ...]:
    """Label and prediction of some rows spread over the test, one line each."""
    if shipped.kind != "generation":
        return ()
    step = max(1, len(shipped.ids) // some)
    pairs = list(zip(shipped.y_true, shipped.predicted, strict=True))[::step][:some]
    return tuple((_cell(y_true), _cell(said)) for y_true, said in pairs)


def _cell(text: str) -> str:
    return " ".join(text.split())[:200].replace("|", "/")


def _line(metric: str, group: Group) -> ModelScores:
    shipped = group.predictions[group.shipped]
    per_seed = [measure(metric, p) for p in group.predictions]
    return ModelScores(
        group.role,
        group.key,
        len(group.keys),
        {name: score(name, group.predictions) for name in METRICS[shipped.kind]},
        {name: score(name, [shipped]) for name in METRICS[shipped.kind]},
        float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else 0.0,
        calibration_error(shipped),
        group.figures.get("latency_ms", 0.0),
        group.figures.get("model_bytes", 0.0) / 1e6,
    )


def _candidate(
    metric: str, groups: Mapping[str, Group], role: str, champion: Group | None, fit: np.ndarray, same: bool
) -> Candidate:
    """A candidate beside its bars: controls over all seeds (a question about methods), champion as shipped."""
    group = groups[role]
    bars = [other for other in CONTROLS if other != role and not (other == "unadapted" and same)]
    comparisons = [_compare(metric, other, group, groups[other]) for other in bars]
    if champion is not None and champion.key != group.key:
        comparisons.append(_compare(metric, CHAMPION, group.only_shipped().on(fit), champion.on(fit)))
    return Candidate(role, group.key, tuple(comparisons))


def _compare(metric: str, name: str, one: Group, other: Group) -> PairedComparison:
    return compare(metric, name, one.predictions, other.predictions, (one.shipped, other.shipped))


def _notes(champion: Group | None, fit: np.ndarray, same: bool) -> tuple[str, ...]:
    notes = []
    if same:
        notes.append("the recipe has no adaptation: challenger and unadapted control are the same model")
    if champion is not None and not fit.all():
        notes.append(f"the champion had seen {int((~fit).sum())} rows of this test: it is compared on the others")
    return tuple(notes)


def _absent_labels(kind: TargetKind, classes: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A note on labels that no test row has, because macro-F1 counts 0 for each of them."""
    absent = [label for label, figures in classes.items() if not figures["support"]]
    if not absent or "macro_f1" not in METRICS[kind]:
        return []
    shown = ", ".join(absent[:SHOWN_LABELS]) + (", ..." if len(absent) > SHOWN_LABELS else "")
    reached = f"{len(classes) - len(absent)} of {len(classes)}"
    return [f"no test row has the labels {shown}: macro-F1 counts 0 for each, so that it reaches {reached} at most"]
