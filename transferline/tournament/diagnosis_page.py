"""Figures and markdown of a diagnosis: scores by layer, task affinities, and ranked recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transferline.core.markup import in_markdown
from transferline.evaluation.markdown import table
from transferline.recipes.advice import Advice
from transferline.tournament.decision import number


def draw_layers(seen: Mapping[str, Mapping[str, Any]]) -> Any:
    """Score of a probe on each layer, one line per base, with one standard error. A dashed line shows TF-IDF."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, one in seen.items():
        if "layers" in one:
            scores = np.array([layer["score"] for layer in one["layers"]])
            errors = np.array([layer["error"] for layer in one["layers"]])
            axes.plot(range(len(scores)), scores, marker="o", label=name)
            axes.fill_between(range(len(scores)), scores - errors, scores + errors, alpha=0.15)
    words = next((one["words"] for one in seen.values() if "words" in one), None)
    if words is not None:
        axes.axhline(words, color="#888", ls="--", lw=1, label="TF-IDF")
    axes.set(xlabel="layer (0: embeddings)", ylabel="cross-validated score of a linear probe")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def draw_affinities(rows: Mapping[str, Mapping[str, float]]) -> Any:
    """Heat map of affinities, given as target -> source -> share. Each row sums to one."""
    from matplotlib.figure import Figure

    sources = list(dict.fromkeys(name for row in rows.values() for name in row))
    values = np.array([[row.get(name, np.nan) for name in sources] for row in rows.values()])
    figure = Figure(figsize=(2.2 + 1.1 * len(sources), 1.4 + 0.6 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="YlGn", vmin=0, aspect="auto")
    axes.set_xticks(range(len(sources)), sources, rotation=20, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set(xlabel="source", ylabel="target")
    for y, x in zip(*np.where(np.isfinite(values)), strict=True):
        axes.text(x, y, f"{values[y, x]:.2f}", ha="center", va="center", fontsize=8)
    return figure


def markdown(
    target: str,
    seen: Mapping[str, Mapping[str, Any]],
    advice: Sequence[Advice],
    share: float,
    most: int | None = None,
) -> str:
    """The diagnosis as markdown: when to transfer, which base, from which source, and how. Lists the first `most` recipes."""
    one = next(iter(seen.values()))
    lines = [f"## {target}: {headline(advice)}", ""]
    lines += [f"{one['rows']:,} training examples, {one['per_label']:.0f} per label. {one['looked_at']} were measured."]
    if "words" in one:
        lines += [f"The most frequent label scores {one['majority']:.3f}, TF-IDF {one['words']:.3f}."]
    lines += [
        "",
        "### When: how far is it?",
        "",
        *_when(seen),
        "",
        "### What: which base, which layer?",
        "",
        *_what(seen),
    ]
    sources = [name for name, base in seen.items() if base.get("sources")]
    if sources:
        lines += ["", "### From where: which source?", "", *_whence(seen[sources[0]]["sources"])]
    lines += ["", "### How: the recipes, best first", "", _how(advice[:most]), ""]
    if most is not None and len(advice) > most:
        lines += [f"{len(advice) - most} more recipes are admitted; diagnosis.md lists them all.", ""]
    lines.append(f"This diagnosis cost {share:.1%} of the FLOPs of the recipe that it ranks first.")
    lines.append("These are expectations. `transferline compare` makes the decision.")
    return "\n".join([*lines, ""])


def headline(advice: Sequence[Advice]) -> str:
    """The recipe to try first, with its expected score."""
    first = advice[0]
    expected = f", expected {first.expected:.3f}" if first.expected is not None else ""
    return f"try {first.recipe} first{expected}"


def _when(seen: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            role.removesuffix("/train"),
            name,
            f"{far['vocabulary']:.0%}",
            f"{far['unseen']:.0%}",
            f"{far['distance']:.2f}" + ("" if far["chance"] < 0.05 else " (chance)"),
            f"{far['mmd']:.3f}" + ("" if far["mmd_chance"] < 0.05 else " (chance)"),
        ]
        for name, base in seen.items()
        for role, far in base["divergence"].items()
    ]
    heads = ["from the target to", "base", "words shared", "words unseen", "proxy A-distance (0 to 2)", "MMD"]
    perplexities = [
        f"Perplexity of {name} on the target's texts: {base['perplexity']:.1f}."
        for name, base in seen.items()
        if base["perplexity"]
    ]
    distances = table(heads, rows) if rows else "There is neither a corpus nor a source to compare with."
    return [distances, *perplexities]


def _what(seen: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = []
    for name, base in seen.items():
        if "layers" in base:
            scores = [layer["score"] for layer in base["layers"]]
            last = f"{scores[-1]:.3f} +- {base['layers'][-1]['error']:.3f}"
            best = int(np.argmax(scores))
            estimates = [f"{base[score][-1]:.3f}" if base.get(score) else "-" for score in ("logme", "h_score")]
            rows.append([name, last, f"{best} of {len(scores) - 1} ({scores[best]:.3f})", *estimates])
    heads = ["base", "probe on the last layer", "best layer", "LogME", "H-score"]
    return [table(heads, rows) if rows else "Targets of this kind have no measurement on features before training."]


def _whence(sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    def score(entry: Mapping[str, Any], name: str) -> str:
        value = entry.get(name)
        return "-" if value is None else f"{value['score'] if isinstance(value, Mapping) else value:.3f}"

    names = ("zero_shot", "pooled", "coral", "leep", "affinity")
    rows = [[name, *(score(entry, field) for field in names)] for name, entry in sources.items()]
    heads = ["source", "its probe here", "with its examples", "with its examples, aligned", "LEEP", "affinity"]
    warnings = [
        f"**The labels of {name} look swapped:** "
        + ", ".join(
            f"its {in_markdown(theirs)} is {in_markdown(ours)} here" for theirs, ours in entry["swapped"].items()
        )
        + ". Correct them, or do not use this source."
        for name, entry in sources.items()
        if entry.get("swapped")
    ]
    return [table(heads, rows), *(["", *warnings] if warnings else [])]


def _how(advice: Sequence[Advice]) -> str:
    rows = [
        [
            str(place),
            one.recipe,
            "-" if one.expected is None else f"{one.expected:.3f}",
            number(one.flops).strip(),
            one.why,
        ]
        for place, one in enumerate(advice, start=1)
    ]
    return table(["", "recipe", "expected", "FLOPs at most", "why"], rows)
