"""The model card that travels with a registered version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transferline.evaluation.markdown import scores_table
from transferline.evaluation.report import Report
from transferline.evaluation.verdict import Verdict
from transferline.recipes.chain import Chain


def model_card(chain: Chain, role: str, key: str, lineage: Mapping[str, Any], report: Report, verdict: Verdict) -> str:
    """Markdown: what the model is, what it was made from, how it did, and what was decided."""
    step = chain.step(key)
    data = "\n".join(f"- {name}: md5 `{md5}`" for name, md5 in lineage.get("data", {}).items())
    labels = f" Labels: {', '.join(report.classes)}." if report.classes else ""
    return f"""# {chain.target}

A model for a target of kind {report.kind}, {role} of recipe `{chain.recipe}`.{labels}

## Made from
- key `{key}`, digest `{lineage["digest"]}`
- method `{step.stage.canonical()["method"]}`, seed {step.seed}, parents {", ".join(step.parents)}
- setting: {chain.setting}
- git commit `{lineage.get("commit", "unknown")}`
{data}

## How it did
{report.rows} test examples, {report.looks} models scored on this test so far, 95 % intervals.

{scores_table(report)}

## Verdict
{verdict.headline}

{chr(10).join("- " + reason for reason in verdict.reasons)}

## Limits
Scores hold for texts like those of the test. The test was never trained on: the leak gate removed exact and near copies.
Probabilities are as calibrated as the table says, and no more.
"""
