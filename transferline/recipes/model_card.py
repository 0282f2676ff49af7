"""The model card of a registered model version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transferline.core.markup import in_markdown
from transferline.evaluation.markdown import SHOWN, listed, scores_table
from transferline.evaluation.report import Report
from transferline.evaluation.verdict import Verdict
from transferline.recipes.chain import Chain


def model_card(chain: Chain, role: str, key: str, lineage: Mapping[str, Any], report: Report, verdict: Verdict) -> str:
    """Markdown with the model's origin, its scores, the verdict and its limits."""
    step = chain.step(key)
    data = "\n".join(f"- {name}: md5 `{md5}`" for name, md5 in lineage.get("data", {}).items())
    names = [in_markdown(label) for label in report.classes]
    labels = f" Labels: {listed(names[:SHOWN], len(names))}." if names else ""
    return f"""# {chain.target}

A model for a target of kind {report.kind}, {role} of recipe `{chain.recipe}`.{labels}

## Made from
- key `{key}`, digest `{lineage["digest"]}`
- method `{step.stage.canonical()["method"]}`, seed {step.seed}, parents {", ".join(step.parents)}
- setting: {chain.setting}
- git commit `{lineage.get("commit", "unknown")}`
{data}

## How it did
{report.rows} test examples, {report.looks} models evaluated on this test so far, 95 % intervals.

{scores_table(report)}

## Verdict
{verdict.headline}

{chr(10).join("- " + reason for reason in verdict.reasons)}

## Limits
The scores apply to texts like those of the test. No test example was trained on: the leak gate removed exact and near duplicates.
The table gives the calibration of the probabilities.
"""
