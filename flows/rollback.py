"""Move the champion alias back to the previous champion, with a reason."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from transferline.flows.support.choices import TargetChoice
from transferline.tasks.promoting import rollback as roll_back
from transferline.tasks.support.events import tell
from transferline.tasks.support.scope import artifact_key, scoped


@flow(name="rollback", flow_run_name="rollback {target}", validate_parameters=True)
def rollback(target: TargetChoice, reason: str) -> dict[str, str]:
    """Move a target's champion alias back to the previous champion. Returns both versions.

    Args:
        target: a name from params.yaml
        reason: the reason, recorded at the registered model
    """
    before, now = roll_back(scoped(target), reason, by="the rollback flow")
    text = f"{target}: champion is version {now} again, after version {before}. Reason: {reason}"
    create_markdown_artifact(text, key=artifact_key("rollback", target), description=text)
    tell("rollback", target, text)
    return {"from": before, "to": now}
