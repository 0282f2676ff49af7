"""Emit Prefect events for automations, notification blocks and other systems."""

from __future__ import annotations

from typing import Any, Literal

from prefect.events import emit_event

from transferline.tasks.support.scope import owner

EventKind = Literal["verdict", "decision", "drift", "rollback", "data.changed", "retrain.wanted"]


def tell(kind: EventKind, target: str, text: str, **more: Any) -> None:
    """Emit the event `transferline.<kind>` for a target; `text` is the text of the notification."""
    emit_event(
        event=f"transferline.{kind}",
        resource={
            "prefect.resource.id": f"transferline.target.{target}",
            "prefect.resource.name": target,
            "transferline.project": owner(),
        },
        payload={"target": target, "text": text, **more},
    )
