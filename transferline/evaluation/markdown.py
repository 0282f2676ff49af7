"""A report in markdown: for the Prefect artifact, the MLflow run and a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from transferline.core.markup import in_markdown, largest
from transferline.evaluation.report import Report
from transferline.evaluation.verdict import Verdict

SHOWN = 40  # labels of a split in one cell


class Planned(Protocol):
    """The facts of a chain that a report shows."""

    @property
    def target(self) -> str: ...
    @property
    def recipe(self) -> str: ...
    @property
    def setting(self) -> str: ...


def table(header: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def render(chain: Planned, report: Report, verdict: Verdict, profiles: Mapping[str, Any]) -> str:
    """The whole report."""
    parts = [f"# {chain.target}: {verdict.headline}", *(f"- {reason}" for reason in verdict.reasons), ""]
    parts += [f"Setting: {chain.setting}. Recipe: {chain.recipe}. Test: {report.rows} rows, looked at through "]
    parts[-1] += f"{report.looks} models so far. Intervals are 95 %, over seeds and examples."
    parts += ["", "## Scores", "", scores_table(report), ""]
    classes = [
        [in_markdown(label), *(f"{figures[n]:.3f}" for n in ("precision", "recall", "f1")), f"{figures['support']:.0f}"]
        for label, figures in report.classes.items()
    ]
    if classes:
        parts += ["## Each label (challenger as shipped)", ""]
        parts += [table(["label", "precision", "recall", "F1", "rows"], classes), ""]
    if report.examples:
        parts += ["## Some answers (challenger as shipped)", ""]
        parts += [table(["truth", "answer"], [[in_markdown(text) for text in pair] for pair in report.examples]), ""]
    parts += [*_data(profiles), *_clean(report)]
    parts += [f"> {in_markdown(note)}" for note in report.notes]
    return "\n".join(parts) + "\n"


def scores_table(report: Report) -> str:
    """A row for each role. Columns: scores with intervals, standard deviation over seeds, calibration, latency and size."""
    rows = []
    for role, line in report.lines.items():
        rows.append(
            [
                role,
                str(line.seeds),
                *(str(interval) for interval in line.scores.values()),
                f"{line.std:.3f}",
                str(line.shipped[report.metric]),
                "-" if line.calibration is None else f"{line.calibration:.3f}",
                f"{line.latency_ms:.1f}",
                f"{line.megabytes:.1f}",
            ]
        )
    std = f"sd of {report.metric}"
    shipped = f"shipped {report.metric}"
    metrics = list(next(iter(report.lines.values())).scores)
    header = ["model", "seeds", *metrics, std, shipped, "calibration error", "ms a text", "MB"]
    return table(header, rows)


def _data(profiles: Mapping[str, Any]) -> list[str]:
    """The data section: rows, lengths, labels, duplicates, and the copies that the leak gate removed."""
    target, corpus = profiles.get("target") or {}, profiles.get("corpus") or {}
    rows = []
    for split, figures in target.get("splits", {}).items():
        labels = _counted(figures.get("labels", {}))
        duplicates = str(target["duplicates"][split])
        rows.append([split, str(figures["rows"]), f"{figures['words']['median']:.0f}", labels, duplicates])
    if corpus:
        figures = corpus["corpus"]
        rows.append(["corpus", str(figures["rows"]), f"{figures['words']['median']:.0f}", "-", "-"])
    gate = [
        [pair, str(counts["exact"]), str(counts["near"])]
        for pair, counts in {**target.get("gate", {}), **corpus.get("gate", {})}.items()
    ]
    return [
        "## Data",
        "",
        table(["split", "rows", "median words", "labels", "duplicates"], rows),
        "",
        *_checks(target),
        "Copies found by the leak gate, and removed from the side named first:",
        "",
        table(["pair", "exact", "near"], gate),
        "",
    ]


def _counted(labels: Mapping[str, float]) -> str:
    """Labels with their counts, the most frequent ones where there are many."""
    most = largest(list(labels), labels.__getitem__, SHOWN)
    return listed([f"{in_markdown(label)} {labels[label]:g}" for label in most], len(labels))


def listed(shown: Sequence[str], every: int) -> str:
    """Names of labels in one line, and how many of `every` label are left out."""
    more = f" and {every - len(shown)} more" if every > len(shown) else ""
    return ", ".join(shown) + more


def _checks(profile: Mapping[str, Any]) -> list[str]:
    """The findings of the checks of rows, one a line, and the rows that were left out."""
    lines = [
        f"{finding['level']} ({finding['check']}): {finding['what']}: {'; '.join(finding['examples'])}"
        for finding in profile.get("checks", [])
    ]
    skipped = profile.get("skipped", {})
    lines += [f"{count} rows of {split} without text or label are left out" for split, count in skipped.items()]
    return [*(f"- {in_markdown(line)}" for line in lines), ""] if lines else []


def _clean(report: Report) -> list[str]:
    if not report.clean:
        return ["No row of the test had a copy in the corpus or in training.", ""]
    return [f"- {report.metric} on {part} test rows: {interval}" for part, interval in report.clean.items()] + [""]
