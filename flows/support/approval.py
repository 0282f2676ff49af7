"""Manual approval before the champion alias moves, for targets that require it (`operations.<target>.approval`)."""

from __future__ import annotations

from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from transferline.core.settings import settings
from transferline.evaluation.report import Report
from transferline.evaluation.verdict import Verdict
from transferline.flows.support.planning import Line
from transferline.tasks.promoting import Approval
from transferline.tasks.support.progress import notice
from transferline.tasks.support.tracking import TransferRun


class ApprovalForm(RunInput):
    """The form of a run that waits for approval."""

    approve: bool = Field(default=False, title="Make this model the champion?")
    reason: str = Field(default="", title="Reason (recorded with the version)")
    name: str = Field(default="", title="Your name")


def approve(line: Line, report: Report, verdict: Verdict, run: TransferRun) -> Approval:
    """Whether the alias may move. Pauses the run until the form in Prefect's UI is submitted.

    A run without a deployment cannot be paused. Its model stays in the registry until `transferline promote`.
    """
    if not line.params.operation(line.target).approval or verdict.decision != "promote":
        return Approval(True)
    if not deployment.id:  # started from the command line, which cannot show a form
        notice("waiting", "yellow", f"for approval: transferline promote {line.target}@challenger --reason ...")
        return Approval(False, reason="waits for approval")
    lines = [f"**{line.target}**: {verdict.headline}", *(f"- {reason}" for reason in verdict.reasons)]
    lines.append(f"\nMLflow run `{run.run_id}`")
    form = ApprovalForm.with_initial_data(description="\n".join(lines))
    answer = pause_flow_run(wait_for_input=form, timeout=_seconds(), key="approval")
    return Approval(answer.approve, answer.name or "a person in the UI", answer.reason)


def _seconds() -> int:
    """How long to wait: TRANSFERLINE_APPROVAL_HOURS, 72 by default; then the run fails and the alias stays."""
    return int(3600 * settings().approval_hours)
